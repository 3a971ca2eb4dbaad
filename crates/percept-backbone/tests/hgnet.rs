//! HGNetV2 against transformers 5.23 (tests/reference/hgnet.py).
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use percept_backbone::hgnet::{Hgnet, HgnetConfig};
use percept_backbone::{Device, Tensor, Weights};
use percept_core::LocalModel;
use percept_kernels::{available, with_isa};
use safetensors::SafeTensors;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/hgnet").join(name)
}

fn weights(name: &str) -> Weights {
    let local = LocalModel::of_folder("hgnet", &path(name)).unwrap();
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

#[test]
fn maps_are_those_of_transformers() {
    for name in ["affine", "plain"] {
        let hgnet = Hgnet::load(&weights(name), &HgnetConfig::of(&json(name)).unwrap()).unwrap();
        let (images, fixture) =
            (tensor("images.safetensors", "pixel_values"), format!("{name}/fixture.safetensors"));
        for isa in available() {
            let maps = with_isa(isa, || hgnet.feature_maps(&images)).unwrap();
            assert_eq!(maps.len(), 5);
            for (at, map) in maps.iter().enumerate() {
                let error = error(map, &tensor(&fixture, &format!("feature_maps.{at}")));
                assert!(error <= 1e-5, "{name}, {}, map {at}: {error}", isa.name());
            }
        }
    }
}
