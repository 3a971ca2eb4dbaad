//! Depth Pro against transformers 5.23 (tests/reference/depth_pro.py).

use percept_backbone::checkpoint::configuration;
use percept_backbone::{Device, Weights};
use percept_core::Model;
use percept_core::depth::{DepthOptions, DepthUnit};
use percept_golden::{fixture, numbers, snapshot};
use serde_json::json;

use super::Network;
use crate::fixture::{check, check_map, check_precisions, input, open};

const FOLDER: &str = "depth-pro";

#[test]
fn metres_and_the_focal_length_are_those_of_the_reference() {
    let wanted = fixture(FOLDER);
    let model = open::<Network>(&snapshot(FOLDER, &[]));
    let outputs = check(&model, &wanted, "", DepthUnit::Metres);
    for (index, output) in outputs.iter().enumerate() {
        let wanted = numbers(&wanted[&format!("focal.{index}")])[0];
        let found = output.focal.unwrap();
        assert!((found - wanted).abs() < 1e-4 * wanted, "{found} and {wanted}");
    }
}

#[test]
fn a_focal_length_that_is_given_takes_the_place_of_the_estimate() {
    let wanted = fixture(FOLDER);
    let model = open::<Network>(&snapshot(FOLDER, &[]));
    let given = input(&wanted, 0, DepthOptions { focal: Some(50.0) });
    let answer = model.predict(&[given]).unwrap().remove(0).output;
    check_map(&answer, &wanted["given.depth.0"]);
}

#[test]
fn without_a_model_of_the_field_of_view() {
    let wanted = fixture(FOLDER);
    let model = open::<Network>(&snapshot(FOLDER, &[("config.json", "config-fixed.json")]));
    let answer = model.predict(&[input(&wanted, 0, DepthOptions::default())]).unwrap().remove(0).output;
    check_map(&answer, &wanted["fixed.depth.0"]);
    assert_eq!(answer.focal, None);
}

#[test]
fn lower_precisions_stay_close() {
    check_precisions::<Network>(&snapshot(FOLDER, &[]), &fixture(FOLDER), [1e-3, 4e-2, 1e-1]);
}

#[test]
fn what_it_cannot_be_is_an_error_that_names_the_key() {
    let local = snapshot(FOLDER, &[]);
    let weights = Weights::open_safetensors(&local, &Device::Cpu).unwrap();
    for (key, value) in [
        ("scaled_images_ratios", json!([1, 0.5, 0.25])),
        ("scaled_images_ratios", json!([0.5, 1])),
        ("scaled_images_overlap_ratios", json!([0.0, 1.0, 0.25])),
        ("intermediate_hook_ids", json!([11, 5])),
        ("intermediate_feature_dims", json!([16])),
    ] {
        let mut config = configuration(&local).unwrap();
        config[key] = value.clone();
        let error = crate::estimator::Network::load(&weights, &config).map(|_: Network| ()).unwrap_err();
        assert!(error.to_string().contains(key), "{key} {value}: {error}");
    }
}
