//! Residual networks against transformers 5.23 and timm (tests/reference/resnet.py).
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use percept_backbone::resnet::{Layers, Resnet, ResnetConfig};
use percept_backbone::{Activation, Device, Tensor, Weights};
use percept_core::LocalModel;
use percept_kernels::{available, with_isa};
use safetensors::SafeTensors;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/resnet").join(name)
}

fn weights(name: &str) -> Weights {
    let local = LocalModel::of_folder("resnet", &path(name)).unwrap();
    Weights::open_safetensors(&local, &Device::Cpu).unwrap()
}

fn json(name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path(name).join("config.json")).unwrap()).unwrap()
}

fn tensor(file: &str, tensor: &str) -> Tensor {
    let bytes = std::fs::read(path(file)).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap();
    let view = all.tensor(tensor).unwrap();
    let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
    Tensor::from_vec(values.collect::<Vec<_>>(), view.shape(), &Device::Cpu).unwrap()
}

/// The largest difference, as a part of the largest reference value.
#[track_caller]
fn error(found: &Tensor, wanted: &Tensor) -> f32 {
    assert_eq!(found.dims(), wanted.dims());
    let largest = |x: Tensor| x.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    largest((found - wanted).unwrap()) / largest(wanted.clone())
}

#[track_caller]
fn check(name: &str, resnet: &Resnet, count: usize) {
    let (images, fixture) =
        (tensor("images.safetensors", "pixel_values"), format!("{name}/fixture.safetensors"));
    for isa in available() {
        let maps = with_isa(isa, || resnet.feature_maps(&images)).unwrap();
        assert_eq!(maps.len(), count);
        for (at, map) in maps.iter().enumerate() {
            let error = error(map, &tensor(&fixture, &format!("feature_maps.{at}")));
            assert!(error <= 1e-5, "{name}, {}, map {at}: {error}", isa.name());
        }
    }
}

#[test]
fn maps_of_every_kind_are_those_of_transformers() {
    for name in ["plain", "basic", "early", "deep", "deep-basic"] {
        let config = ResnetConfig::of(&json(name)).unwrap();
        check(name, &Resnet::load(&weights(name), &config).unwrap(), 5);
    }
}

#[test]
fn maps_of_timm_are_found_under_its_names() {
    for (name, strides, dilations) in
        [("timm", [1, 2, 2, 2], [1; 4]), ("timm-dilated", [1, 2, 2, 1], [1, 1, 1, 2])]
    {
        // What published ones have, with fewer layers and channels.
        let mut config = json(name);
        config["model_type"] = "timm_backbone".into();
        let published = ResnetConfig::of(&config).unwrap();
        assert_eq!((&published.strides[..], &published.dilations[..]), (&strides[..], &dilations[..]));
        assert_eq!((published.layers, published.activation), (Layers::Bottleneck, Activation::Relu));
        let config = ResnetConfig { channels: vec![8, 12, 16, 20], depths: vec![2, 1, 1, 2], ..published };
        let resnet = Resnet::load(&weights(name).at("backbone.model"), &config).unwrap();
        check(name, &resnet, 4);
    }
}

#[test]
fn a_network_of_other_numbers_is_an_error() {
    let mut config = json("plain");
    config["depths"][3] = 3.into();
    let missing = Resnet::load(&weights("plain"), &ResnetConfig::of(&config).unwrap()).unwrap_err();
    assert!(missing.to_string().contains("encoder.stages.3.layers.2"), "{missing}");
}
