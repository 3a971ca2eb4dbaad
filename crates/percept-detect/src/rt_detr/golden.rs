//! RT-DETR and RT-DETRv2 against transformers 5.23 (tests/reference/rt_detr.py).

use std::sync::Arc;

use percept_backbone::{Device, Tensor, Weights};
use percept_core::detect::{DetectInput, DetectOptions};
use percept_core::{Precision, RawValues};
use percept_golden::{error, fixture, folder, numbers, picture, runtime, snapshot};
use serde_json::{Value, json};

use super::names::published;
use super::network::Network;
use crate::detector::Network as _;

const CASES: [&str; 3] = ["rt-detr/v1", "rt-detr/v2", "rt-detr/v2-discrete"];

fn config(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder(name).join("config.json")).unwrap()).unwrap()
}

fn weights(name: &str) -> Weights {
    Weights::open_safetensors(&snapshot(name, &[]), &Device::Cpu).unwrap()
}

fn images() -> Tensor {
    let bytes = std::fs::read(folder("rt-detr/images.safetensors")).unwrap();
    (percept_golden::tensors(&bytes).remove("pixels").unwrap() / 256.0).unwrap()
}

#[test]
fn every_part_computes_what_transformers_computes() {
    for name in CASES {
        let network = Network::load(&weights(name), &config(name), 5).unwrap();
        let (fixture, images) = (fixture(name), images());
        let maps = network.encoder.forward(&network.backbone.feature_maps(&images).unwrap()).unwrap();
        let selected = network.selection.forward(&maps).unwrap();
        let outputs = network.forward(&images).unwrap();
        let mut pairs = vec![
            ("selected_boxes".to_owned(), &selected.boxes),
            ("logits".to_owned(), &outputs.logits),
            ("pred_boxes".to_owned(), &outputs.boxes),
        ];
        pairs.extend(maps.iter().enumerate().map(|(level, map)| (format!("encoder.{level}"), map)));
        assert_eq!(pairs.len(), 6);
        for (tensor, found) in pairs {
            let error = error(found, &fixture[&tensor]);
            assert!(error <= 2e-5, "{name}, {tensor}: {error}");
        }
    }
}

#[test]
fn boxes_of_a_picture_are_those_of_the_image_processor() {
    for name in CASES {
        let model = super::load(&snapshot(name, &[]), &runtime(Precision::F32)).unwrap();
        let fixture = fixture(name);
        let options = Arc::new(DetectOptions { score: Some(0.4), ..DetectOptions::default() });
        let input = DetectInput { image: picture(&fixture["picture"]), options };
        let found = model.predict(&[input]).unwrap().remove(0).output;
        assert_eq!((found.width, found.height), (71, 50));
        let labels: Vec<f32> = found.detections.iter().map(|found| found.label.id as f32).collect();
        assert_eq!(labels, numbers(&fixture["labels"]), "{name}");
        for (found, wanted) in found.detections.iter().zip(numbers(&fixture["scores"])) {
            assert!((found.score - wanted).abs() < 1e-4, "{name}: {} {wanted}", found.score);
        }
        let boxes = found.detections.iter().flat_map(|found| found.bounding_box);
        for (found, wanted) in boxes.zip(numbers(&fixture["boxes"])) {
            assert!((found - wanted).abs() < 1e-2, "{name}: {found} {wanted}");
        }
    }
}

/// What transformers makes of two pictures with a model that knows what it sees (tests/reference/shapes_detect_golden.py).
#[test]
fn a_trained_model_says_what_transformers_says() {
    let local = snapshot("../models/shapes-detr", &[]);
    let model = super::load(&local, &runtime(Precision::F32)).unwrap();
    let fixture = fixture("shapes-detect");
    for index in 0..2 {
        let of = |name: &str| &fixture[&format!("{name}.{index}")];
        let image = picture(of("picture"));
        let (width, height) = image.size();
        let input = DetectInput { image, options: Arc::default() };
        for tensor in model.raw(&input).unwrap() {
            if tensor.name == "pixel_values" {
                continue;
            }
            let RawValues::F32(values) = &tensor.values else { panic!("{} are floats", tensor.name) };
            let found = Tensor::from_vec(values.clone(), tensor.shape.clone(), &Device::Cpu).unwrap();
            let error = error(&found, of(&tensor.name));
            assert!(error <= 2e-4, "picture {index}, {}: {error}", tensor.name);
        }
        let found = model.predict(&[input]).unwrap().remove(0).output.detections;
        let labels: Vec<f32> = found.iter().map(|found| found.label.id as f32).collect();
        assert_eq!(labels, numbers(of("labels")), "picture {index}");
        for (found, wanted) in found.iter().zip(numbers(of("scores"))) {
            assert!((found.score - wanted).abs() < 1e-4, "picture {index}: {} {wanted}", found.score);
        }
        let limits = [width, height, width, height].map(|side| side as f32).into_iter().cycle();
        let boxes = found.iter().flat_map(|found| found.bounding_box);
        for ((found, wanted), limit) in boxes.zip(numbers(of("boxes"))).zip(limits) {
            assert!((found - wanted.clamp(0.0, limit)).abs() < 2e-2, "picture {index}: {found} {wanted}");
        }
    }
}

#[test]
fn names_of_transformers_5_are_those_of_published_files() {
    for name in CASES {
        let weights = weights(name);
        let bytes = std::fs::read(folder(name).join("names.json")).unwrap();
        let names: Vec<String> = serde_json::from_slice(&bytes).unwrap();
        assert!(names.len() > 20);
        for name in names {
            assert!(weights.has(&published(&name)), "{name}");
        }
    }
}

#[test]
fn heads_are_found_where_a_file_has_them() {
    let name = "rt-detr/v2";
    let outside = weights(name).renamed(|name, shape| {
        let outside = ["bbox_embed", "class_embed"]
            .iter()
            .find_map(|head| Some(format!("{head}{}", name.strip_prefix(&format!("model.decoder.{head}"))?)));
        vec![(outside.unwrap_or_else(|| name.to_owned()), 0..shape[0])]
    });
    assert!(outside.has("class_embed.1.weight") && !outside.has("model.decoder.class_embed.1.weight"));
    let network = Network::load(&outside, &config(name), 5).unwrap();
    let found = network.forward(&images()).unwrap();
    assert!(error(&found.logits, &fixture(name)["logits"]) <= 2e-5);
}

#[test]
fn what_is_not_supported_is_an_error_that_says_what() {
    for (key, value, said) in [
        ("learn_initial_query", json!(true), "learn_initial_query"),
        ("decoder_method", json!("nearest"), "decoder_method"),
        ("decoder_n_levels", json!(3), "decoder_n_levels"),
        ("activation_function", json!("mish"), "mish"),
        ("encode_proj_layers", json!([3]), "encode_proj_layers"),
        ("encoder_in_channels", json!([10, 12, 14, 16]), "encoder_in_channels"),
        ("decoder_in_channels", json!([12, 12]), "decoder_in_channels"),
        ("num_queries", json!(0), "num_queries"),
        ("d_model", json!(18), "18"),
        ("encoder_hidden_dim", json!(14), "encoder_hidden_dim"),
        ("decoder_layers", json!(4), "model.decoder.layers.2"),
        ("backbone_config", json!({"model_type": "convnext"}), "convnext"),
    ] {
        let mut config = config("rt-detr/v2");
        config[key] = value;
        let Err(error) = Network::load(&weights("rt-detr/v2"), &config, 5) else { panic!("{key}") };
        assert!(error.to_string().contains(said), "{key}: {error}");
    }
}

#[test]
fn an_image_with_too_few_pixels_is_an_error() {
    let network = Network::load(&weights("rt-detr/v1"), &config("rt-detr/v1"), 5).unwrap();
    let tiny = Tensor::zeros((1, 3, 32, 32), percept_backbone::DType::F32, &Device::Cpu).unwrap();
    assert!(network.forward(&tiny).is_ok());
    let mut config = config("rt-detr/v1");
    config["num_queries"] = 22.into();
    let more = Network::load(&weights("rt-detr/v1"), &config, 5).unwrap();
    let error = more.forward(&tiny).unwrap_err().to_string();
    assert!(error.contains("22 queries cannot be chosen of 21 pixels"), "{error}");
}
