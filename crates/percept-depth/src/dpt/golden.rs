//! DPT against transformers 5.23 (tests/reference/dpt.py).

use percept_backbone::checkpoint::configuration;
use percept_backbone::{Device, Weights};
use percept_core::depth::DepthUnit;
use percept_golden::{fixture, snapshot};
use serde_json::json;

use super::Network;
use crate::fixture::{check, check_precisions, open};

fn as_the_reference(folder: &str, config: &str, prefix: &str) {
    let model = open::<Network>(&snapshot(folder, &[("config.json", config)]));
    check(&model, &fixture(folder), prefix, DepthUnit::RelativeInverse);
}

#[test]
fn its_own_transformer() {
    as_the_reference("dpt", "config.json", "");
}

#[test]
fn over_a_residual_network() {
    as_the_reference("dpt-hybrid", "config.json", "");
}

#[test]
fn a_dinov2_whose_readout_is_added_or_left_out() {
    as_the_reference("dpt-dinov2", "config.json", "");
    as_the_reference("dpt-dinov2", "config-ignore.json", "ignore.");
}

#[test]
fn a_beit() {
    as_the_reference("dpt-beit", "config.json", "");
}

#[test]
fn lower_precisions_stay_close() {
    for folder in ["dpt", "dpt-hybrid"] {
        check_precisions::<Network>(&snapshot(folder, &[]), &fixture(folder), [1e-3, 4e-2, 1e-1]);
    }
}

#[test]
fn what_it_cannot_be_is_an_error_that_names_the_key() {
    for (folder, key, value) in [
        ("dpt", "backbone_out_indices", json!([0, 1, 2, 9])),
        ("dpt", "backbone_out_indices", json!([0, 1, 2])),
        ("dpt", "backbone_out_indices", json!("all")),
        ("dpt", "readout_type", json!("mean")),
        ("dpt", "hidden_act", json!("mish")),
        ("dpt-hybrid", "neck_ignore_stages", json!([0])),
        ("dpt-hybrid", "backbone_config", json!({"model_type": "resnet"})),
        ("dpt-hybrid", "layer_type", json!("unused")),
    ] {
        let local = snapshot(folder, &[]);
        let mut config = configuration(&local).unwrap();
        match key {
            "layer_type" => config["backbone_config"][key] = json!("preactivation"),
            key => config[key] = value.clone(),
        }
        let weights = Weights::open_safetensors(&local, &Device::Cpu).unwrap();
        let error = crate::estimator::Network::load(&weights, &config).map(|_: Network| ()).unwrap_err();
        assert!(error.to_string().contains(key), "{key} {value}: {error}");
    }
}
