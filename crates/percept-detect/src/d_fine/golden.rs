//! D-FINE against transformers 5.23 (tests/reference/rt_detr.py).

use std::sync::Arc;

use percept_backbone::{Device, Tensor, Weights};
use percept_core::Precision;
use percept_core::detect::{DetectInput, DetectOptions};
use percept_golden::{error, fixture, folder, numbers, picture, runtime, snapshot};
use serde_json::{Value, json};

use super::network::Network;
use crate::detector::Network as _;
use crate::rt_detr::names::published;

const CASES: [&str; 2] = ["d-fine/three", "d-fine/two"];

fn config(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder(name).join("config.json")).unwrap()).unwrap()
}

fn weights(name: &str) -> Weights {
    Weights::open_safetensors(&snapshot(name, &[]), &Device::Cpu).unwrap()
}

fn images() -> Tensor {
    let bytes = std::fs::read(folder("d-fine/images.safetensors")).unwrap();
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
        assert!(pairs.len() >= 5);
        for (tensor, found) in pairs {
            let error = error(found, &fixture[&tensor]);
            // PyTorch in f32 is 9e-5 away from itself in f64 here.
            assert!(error <= 1e-4, "{name}, {tensor}: {error}");
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

#[test]
fn names_of_transformers_5_are_those_of_published_files() {
    for name in CASES {
        let weights = weights(name);
        let bytes = std::fs::read(folder(name).join("names.json")).unwrap();
        let names: Vec<String> = serde_json::from_slice(&bytes).unwrap();
        assert!(names.iter().any(|name| name.contains(".mlp.layers.1.")));
        for name in names {
            assert!(weights.has(&published(&name)), "{name}");
        }
    }
}

#[test]
fn what_is_not_supported_is_an_error_that_says_what() {
    for (key, value, said) in [
        ("eval_idx", json!(0), "eval_idx"),
        ("max_num_bins", json!(7), "max_num_bins"),
        ("top_prob_values", json!(40), "top_prob_values"),
        ("decoder_n_points", json!([3, 6]), "decoder_n_points"),
        ("max_num_bins", json!(32), "bbox_embed"),
        ("depth_mult", json!(1.0), "bottlenecks.2"),
        ("backbone_config", Value::Null, "stem1"),
    ] {
        let mut config = config("d-fine/three");
        config[key] = value;
        let Err(error) = Network::load(&weights("d-fine/three"), &config, 5) else { panic!("{key}") };
        assert!(error.to_string().contains(said), "{key}: {error}");
    }
}
