//! The Swin Transformer against transformers 5.23 (tests/reference/swin.py).
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use percept_backbone::swin::{Swin, SwinConfig};
use percept_backbone::{Device, Tensor, Weights};
use percept_core::{LocalModel, Precision};
use percept_kernels::{available, with_isa};
use safetensors::SafeTensors;

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/swin").join(file)
}

fn swin(precision: Precision) -> Swin {
    let local = LocalModel::of_folder("swin", &path("")).unwrap();
    let weights = Weights::open_safetensors(&local, &Device::Cpu).unwrap().in_precision(precision);
    let config = serde_json::from_slice(&std::fs::read(path("config.json")).unwrap()).unwrap();
    Swin::load(&weights, &SwinConfig::of(&config).unwrap()).unwrap()
}

fn tensor(name: &str) -> Tensor {
    let bytes = std::fs::read(path("fixture.safetensors")).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap();
    let view = all.tensor(name).unwrap();
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
fn maps_of_all_stages_are_those_of_transformers() {
    let (swin, images) = (swin(Precision::F32), tensor("pixel_values"));
    for isa in available() {
        let maps = with_isa(isa, || swin.feature_maps(&images)).unwrap();
        assert_eq!(maps.len(), 4);
        for (stage, map) in maps.iter().enumerate() {
            let error = error(map, &tensor(&format!("feature_maps.{stage}")));
            assert!(error <= 2e-4, "{} stage {stage}: {error}", isa.name());
        }
    }
}

#[test]
fn images_of_a_batch_do_not_mix_and_bf16_stays_close() {
    let images = tensor("pixel_values");
    let second = swin(Precision::F32).feature_maps(&images.narrow(0, 1, 1).unwrap()).unwrap();
    let low = swin(Precision::Bf16).feature_maps(&images).unwrap();
    for stage in 0..4 {
        let wanted = tensor(&format!("feature_maps.{stage}"));
        assert!(error(&second[stage], &wanted.narrow(0, 1, 1).unwrap()) <= 2e-4);
        assert!((1e-4..0.1).contains(&error(&low[stage], &wanted)));
    }
}
