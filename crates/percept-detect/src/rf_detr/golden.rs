//! RF-DETR against transformers 5.23 (tests/reference/rf_detr.py).

use std::collections::BTreeMap;
use std::sync::Arc;

use percept_backbone::checkpoint::configuration;
use percept_backbone::image_processor::ImageProcessor;
use percept_backbone::{Device, Tensor, Weights};
use percept_core::detect::{DetectInput, DetectOptions, Detections};
use percept_core::{LocalModel, Precision, RawValues};
use percept_golden::{error, fixture, numbers, picture, runtime, snapshot};
use serde_json::Value;

use super::network::RfDetr;
use crate::detector::Network as _;

const CASES: [&str; 2] = ["rf-detr/boxes", "rf-detr/masks"];
const PICTURES: [&str; 2] = ["wide", "high"];

fn network(local: &LocalModel) -> RfDetr {
    let weights = Weights::open_safetensors(local, &Device::Cpu).unwrap();
    RfDetr::load(&weights, &configuration(local).unwrap(), 5).unwrap()
}

#[test]
fn every_part_computes_what_transformers_computes() {
    for case in CASES {
        let (network, wanted) = (network(&snapshot(case, &[])), fixture(case));
        let pixels = &wanted["pixel_values"];
        let map = network.map(pixels).unwrap();
        let references = network.decoder.references(&map).unwrap();
        let outputs = network.forward(pixels).unwrap();
        let mut pairs = vec![
            ("features", map.permute([0, 3, 1, 2]).unwrap()),
            ("references", references),
            ("logits", outputs.logits),
            ("pred_boxes", outputs.boxes),
        ];
        pairs.extend(outputs.masks.map(|masks| ("pred_masks", masks)));
        assert_eq!(pairs.len(), if case.ends_with("masks") { 5 } else { 4 });
        for (name, found) in pairs {
            let error = error(&found, &wanted[name]);
            // The reference in f32 is itself 6e-5 away from the reference in f64.
            assert!(error < 2e-4, "{case} {name}: {error}");
        }
    }
}

#[test]
fn pictures_are_prepared_as_the_reference_does() {
    for case in CASES {
        let (local, wanted) = (snapshot(case, &[]), fixture(case));
        let processor = ImageProcessor::open(&local, "ViTImageProcessor").unwrap();
        for kind in PICTURES.into_iter().chain(case.ends_with("masks").then_some("exact")) {
            let found = processor.prepare(&picture(&wanted[&format!("{kind}.picture")])).unwrap();
            let found = found.into_tensor(&Device::Cpu).unwrap();
            let error = error(&found, &wanted[&format!("{kind}.pixel_values")]);
            // In f32 the place of an output pixel among those of the picture is exact to a few millionths of a pixel.
            assert!(error < 1e-5, "{case} {kind}: {error}");
        }
    }
}

fn asked(wanted: &BTreeMap<String, Tensor>, kind: &str) -> DetectInput {
    let score = Some(numbers(&wanted[&format!("{kind}.threshold")])[0]);
    let options = Arc::new(DetectOptions { score, ..DetectOptions::default() });
    DetectInput { image: picture(&wanted[&format!("{kind}.picture")]), options }
}

#[test]
fn pictures_are_answered_as_the_reference_does() {
    for case in CASES {
        let wanted = fixture(case);
        let model = super::load(&snapshot(case, &[]), &runtime(Precision::F32)).unwrap();
        let inputs = PICTURES.map(|kind| asked(&wanted, kind));
        for (kind, found) in PICTURES.iter().zip(model.predict(&inputs).unwrap()) {
            check(&found.output, &wanted, kind);
        }
        let raw = model.raw(&inputs[0]).unwrap();
        let names: Vec<&str> = raw.iter().map(|tensor| tensor.name.as_str()).collect();
        assert_eq!(names[..3], ["pixel_values", "logits", "pred_boxes"]);
        assert!(matches!(&raw[1].values, RawValues::F32(logits) if logits.iter().all(|x| x.is_finite())));
    }
}

fn check(found: &Detections, wanted: &BTreeMap<String, Tensor>, kind: &str) {
    let of = |name: &str| numbers(&wanted[&format!("{kind}.{name}")]);
    let (labels, scores) = (of("labels"), of("scores"));
    assert_eq!(found.detections.len(), labels.len(), "{kind}");
    let (width, height) = (found.width as f32, found.height as f32);
    for (index, detection) in found.detections.iter().enumerate() {
        assert_eq!(detection.label.id as f32, labels[index]);
        assert_eq!(
            detection.label.name,
            ["lamp", "chair", "table", "window", "door"][detection.label.id as usize]
        );
        assert!((detection.score - scores[index]).abs() < 1e-4);
        for (side, (found, wanted)) in
            detection.bounding_box.iter().zip(&of("boxes")[4 * index..][..4]).enumerate()
        {
            // The reference leaves boxes outside of the picture.
            let wanted = wanted.clamp(0.0, if side % 2 == 0 { width } else { height });
            assert!((found - wanted).abs() < 1e-2, "{kind} {index}: {found} and {wanted}");
        }
    }
    let Some(masks) = wanted.get(&format!("{kind}.masks")) else {
        return assert!(found.detections.iter().all(|detection| detection.mask.is_none()));
    };
    for (index, detection) in found.detections.iter().enumerate() {
        let wanted = numbers(&masks.get(index).unwrap());
        let found = detection.mask.as_ref().unwrap().pixels();
        let differ =
            found.iter().zip(&wanted).filter(|(found, wanted)| f32::from(**found) != **wanted).count();
        // A logit at zero may fall to either side.
        assert!(differ <= 2, "{kind} {index}: {differ} of {} pixels", wanted.len());
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let local = snapshot(CASES[0], &[]);
    let weights = Weights::open_safetensors(&local, &Device::Cpu).unwrap();
    let config = configuration(&local).unwrap();
    let refused = |config: &Value| RfDetr::load(&weights, config, 5).unwrap_err().to_string();
    for (path, value, part) in [
        ("/num_feature_levels", Value::from(2), "num_feature_levels"),
        ("/activation_function", Value::from("mish"), "mish"),
        ("/num_queries", Value::from(0), "num_queries"),
        ("/backbone_config/num_windows", Value::from(0), "num_windows"),
        ("/backbone_config/use_swiglu_ffn", Value::from(true), "use_swiglu_ffn"),
        ("/backbone_config/apply_layernorm", Value::from(false), "apply_layernorm"),
        ("/backbone_config/out_indices", Value::from(vec![1, 9]), "out_indices"),
        ("/backbone_config/model_type", Value::from("rf_detr_vit"), "rf_detr_vit"),
        ("/d_model", Value::from(18), "d_model"),
    ] {
        let mut config = config.clone();
        *config.pointer_mut(path).unwrap() = value;
        let message = refused(&config);
        assert!(message.contains(part), "{path}: {message}");
    }
    // Images whose patches do not divide into windows, and maps with fewer places than queries.
    let network = network(&local);
    for [height, width] in [[56, 64], [16, 16]] {
        let pixels =
            Tensor::zeros((1, 3, height, width), percept_backbone::DType::F32, &Device::Cpu).unwrap();
        assert!(network.forward(&pixels).is_err());
    }
}
