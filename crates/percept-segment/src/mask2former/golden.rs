//! Mask2Former against transformers 5.23 (tests/reference/mask2former.py).

use std::sync::Arc;

use percept_core::segment::{
    Image, SegmentInput, SegmentOptions, SegmentRequest, SegmentationKind, WholeKind,
};
use percept_core::{Precision, Runtime};

use super::network::Network;
use crate::universal::Network as _;
use crate::universal::fixture::{Fixture, error, json, snapshot, together_as_alone, weights};

fn network(precision: Precision) -> Network {
    Network::load(&weights("mask2former", precision), &json("mask2former/config.json"), 5).unwrap()
}

#[test]
fn every_part_computes_what_transformers_computes() {
    let (network, fixture) = (network(Precision::F32), Fixture::open("mask2former/fixture.safetensors"));
    let maps = network.backbone.feature_maps(&fixture.tensor("pixel_values")).unwrap();
    let features = network.pixels.forward(&maps).unwrap();
    let (states, _) = network.queries.forward(&features).unwrap();
    let outputs = network.forward(&fixture.tensor("pixel_values")).unwrap();
    let mut pairs = vec![
        ("pixel_decoder_last_hidden_state".to_owned(), &features.masks),
        ("masks_queries_logits".to_owned(), &outputs.masks),
        ("class_queries_logits".to_owned(), &outputs.classes),
    ];
    pairs.extend(maps.iter().enumerate().map(|(i, map)| (format!("encoder_hidden_states.{i}"), map)));
    let levels = features.levels.iter().enumerate();
    pairs.extend(levels.map(|(i, level)| (format!("pixel_decoder_hidden_states.{i}"), level)));
    assert_eq!(pairs.len(), 10);
    for (name, found) in pairs {
        let error = error(found, &fixture.tensor(&name));
        assert!(error <= 2e-4, "{name}: {error}");
    }
    assert_eq!(states.dims(), [2, 7, 32]);
}

#[test]
fn what_is_not_supported_is_an_error() {
    let weights = weights("mask2former", Precision::F32);
    for (key, value, said) in [
        ("pre_norm", true.into(), "pre_norm"),
        ("activation_function", "mish".into(), "mish"),
        ("common_stride", 16.into(), "common_stride"),
        ("hidden_dim", 36.into(), "transformer_module"),
    ] {
        let mut config = json("mask2former/config.json");
        config[key] = value;
        let error = Network::load(&weights, &config, 5).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_picture_becomes_segments() {
    let runtime = Runtime { precision: Precision::F32, ..Runtime::default() };
    let model = super::load(&snapshot("mask2former"), &runtime).unwrap();
    let image = Arc::new(Image::new(9, 7, (0..189).map(|byte| byte as u8).collect()));
    let input =
        SegmentInput { image, options: Arc::new(SegmentOptions { score: Some(0.0), ..Default::default() }) };
    let raw = model.raw(&input).unwrap();
    assert_eq!((raw[0].name.as_str(), &raw[0].shape[..]), ("pixel_values", &[1, 3, 64, 64][..]));
    let found = model.predict(&[input]).unwrap().remove(0).output;
    assert_eq!((found.kind, found.width, found.height), (SegmentationKind::Panoptic, 9, 7));
}

#[test]
fn pictures_together_are_seen_as_alone() {
    let runtime = Runtime { precision: Precision::F32, ..Runtime::default() };
    let model = super::load(&snapshot("mask2former"), &runtime).unwrap();
    together_as_alone(&*model, &SegmentRequest::Whole(WholeKind::Semantic));
}
