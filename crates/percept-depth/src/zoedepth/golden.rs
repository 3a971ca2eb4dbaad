//! ZoeDepth against transformers 5.23 (tests/reference/zoedepth.py).

use percept_backbone::checkpoint::configuration;
use percept_backbone::{Device, Weights};
use percept_core::Model;
use percept_core::depth::{DepthOptions, DepthUnit, Image};
use percept_golden::{fixture, snapshot};
use serde_json::json;

use super::Network;
use crate::fixture::{check, check_precisions, input, open};

#[test]
fn one_domain_is_that_of_the_reference() {
    check(&open::<Network>(&snapshot("zoedepth", &[])), &fixture("zoedepth"), "", DepthUnit::Metres);
}

#[test]
fn of_two_domains_each_picture_has_that_of_the_reference() {
    let model = open::<Network>(&snapshot("zoedepth-two", &[]));
    let outputs = check(&model, &fixture("zoedepth-two"), "", DepthUnit::Metres);
    assert_eq!(outputs.len(), 2);
    // What is told raw has the logits, too.
    let raw = model.raw(&input(&fixture("zoedepth-two"), 0, DepthOptions::default())).unwrap();
    assert_eq!(raw[2].name, "domain_logits");
}

#[test]
fn lower_precisions_stay_close() {
    // A temperature of a fiftieth multiplies what comes before it by 50.
    check_precisions::<Network>(&snapshot("zoedepth", &[]), &fixture("zoedepth"), [1e-3, 1e-1, 3e-1]);
}

#[test]
fn a_picture_that_cannot_be_reflected_is_an_error() {
    let model = open::<Network>(&snapshot("zoedepth", &[]));
    let image = std::sync::Arc::new(Image::new(4, 50, vec![7; 600]));
    let error = model.predict(&[percept_core::depth::DepthInput { image, options: Default::default() }]);
    assert!(error.unwrap_err().to_string().contains("too small"));
}

#[test]
fn what_it_cannot_be_is_an_error_that_names_the_key() {
    let local = snapshot("zoedepth", &[]);
    let weights = Weights::open_safetensors(&local, &Device::Cpu).unwrap();
    for (key, value) in [
        ("readout_type", json!("add")),
        ("bottleneck_features", json!(13)),
        ("num_attractors", json!([5, 4, 3])),
        ("bin_centers_type", json!("hybrid1")),
        ("attractor_kind", json!("max")),
        ("bin_configurations", json!([{"n_bins": 1, "min_depth": 0.1, "max_depth": 10.0}])),
        ("bin_configurations", json!([{}, {}, {}])),
        ("min_temp", json!("cold")),
    ] {
        let mut config = configuration(&local).unwrap();
        config[key] = value.clone();
        let error = crate::estimator::Network::load(&weights, &config).map(|_: Network| ()).unwrap_err();
        assert!(error.to_string().contains(key), "{key} {value}: {error}");
    }
}
