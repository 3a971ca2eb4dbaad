//! Depth Anything against transformers 5.23 (tests/reference/depth_anything.py).

use percept_core::Model;
use percept_core::depth::{DepthOptions, DepthUnit};
use percept_golden::{fixture, runtime, snapshot};

use super::Network;
use crate::estimator::Estimator;
use crate::fixture::{check, check_precisions, input, open};

const FOLDER: &str = "depth-anything";

#[test]
fn relative_depth_is_that_of_the_reference() {
    let model = open::<Network>(&snapshot(FOLDER, &[]));
    check(&model, &fixture(FOLDER), "", DepthUnit::RelativeInverse);
}

#[test]
fn metric_depth_is_that_of_the_reference() {
    let model = open::<Network>(&snapshot(FOLDER, &[("config.json", "config-metric.json")]));
    check(&model, &fixture(FOLDER), "metric.", DepthUnit::Metres);
}

#[test]
fn lower_precisions_stay_close() {
    check_precisions::<Network>(&snapshot(FOLDER, &[]), &fixture(FOLDER), [1e-3, 4e-2, 8e-2]);
}

#[test]
fn what_it_cannot_be_is_an_error_that_names_the_key() {
    let local = snapshot(FOLDER, &[]);
    let config = percept_backbone::checkpoint::configuration(&local).unwrap();
    let weights =
        percept_backbone::Weights::open_safetensors(&local, &percept_backbone::Device::Cpu).unwrap();
    for (key, value) in [
        ("depth_estimation_type", serde_json::json!("log")),
        ("max_depth", serde_json::json!(-3)),
        ("reassemble_factors", serde_json::json!([4, 2, 1])),
        ("reassemble_factors", serde_json::json!([4, 2, 1, 0.0])),
        ("neck_hidden_sizes", serde_json::json!([8, 12, 16])),
    ] {
        let mut config = config.clone();
        config[key] = value;
        let error = crate::estimator::Network::load(&weights, &config).map(|_: Network| ()).unwrap_err();
        assert!(error.to_string().contains(key), "{key}: {error}");
    }
    let mut other = config.clone();
    other["backbone_config"]["model_type"] = serde_json::json!("convnext");
    let error = crate::estimator::Network::load(&weights, &other).map(|_: Network| ()).unwrap_err();
    assert!(error.to_string().contains("convnext"), "{error}");
    // Of a missing file it says which.
    let mut local = local;
    local.files.remove("model.safetensors");
    let opened = Estimator::<Network>::open(&local, &runtime(percept_core::Precision::F32));
    assert!(opened.is_err());
}

#[test]
fn what_is_no_finite_number_is_an_error() {
    let local = snapshot(FOLDER, &[]);
    let mut config = percept_backbone::checkpoint::configuration(&local).unwrap();
    // Beyond what a 32-bit float holds.
    config["max_depth"] = serde_json::json!(1e39);
    let folder = std::env::temp_dir().join(format!("percept-depth-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("config.json");
    std::fs::write(&path, config.to_string()).unwrap();
    let mut local = local;
    local.files.insert("config.json".into(), path);
    let model = open::<Network>(&local);
    std::fs::remove_dir_all(&folder).unwrap();
    let input = input(&fixture(FOLDER), 0, DepthOptions::default());
    let error = model.predict(&[input]).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("no finite numbers"), "{error}: {cause}");
}
