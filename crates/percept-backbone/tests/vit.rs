//! Vision Transformers against transformers 5.23 (tests/reference/vit.py): tiny random checkpoints of
//! every kind, at their own image size and at another, on every instruction set of this processor.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use percept_backbone::vit::{Vit, VitConfig};
use percept_backbone::{Device, Tensor, Weights};
use percept_core::{LocalModel, Precision};
use percept_kernels::{available, with_isa};
use safetensors::SafeTensors;

const KINDS: [&str; 9] =
    ["vit", "deit", "dinov2", "dinov2-swiglu", "dinov2-registers", "clip", "siglip", "blip", "vitpose"];

fn folder(kind: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/vit").join(kind)
}

fn vit(kind: &str, precision: Precision) -> Vit {
    let local = LocalModel::of_folder(kind, &folder(kind)).unwrap();
    let weights = Weights::open_safetensors(&local, &Device::Cpu).unwrap().in_precision(precision);
    let (config, names) = VitConfig::of(&config(kind)).unwrap();
    Vit::load(&weights, &config, &names).unwrap()
}

fn config(kind: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(folder(kind).join("config.json")).unwrap()).unwrap()
}

/// The tensors of a fixture.
fn fixture(kind: &str) -> BTreeMap<String, Tensor> {
    let bytes = std::fs::read(folder(kind).join("fixture.safetensors")).unwrap();
    let read = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        (name, Tensor::from_vec(values.collect(), view.shape(), &Device::Cpu).unwrap())
    };
    SafeTensors::deserialize(&bytes).unwrap().tensors().into_iter().map(read).collect()
}

/// The largest difference, as a part of the largest reference value.
#[track_caller]
fn error(found: &Tensor, wanted: &Tensor) -> f32 {
    assert_eq!(found.dims(), wanted.dims());
    let largest = |x: Tensor| x.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    largest((found - wanted).unwrap()) / largest(wanted.clone())
}

/// The error of the last states at each size of image.
fn errors_of_tokens(kind: &str, vit: &Vit) -> Vec<f32> {
    let fixture = fixture(kind);
    let of = |size: &str| {
        let found = vit.tokens(fixture.get(&format!("{size}.pixel_values"))?).unwrap();
        Some(error(&found, &fixture[&format!("{size}.last_hidden_state")]))
    };
    ["native", "other"].into_iter().filter_map(of).collect()
}

#[test]
fn every_kind_computes_what_transformers_computes() {
    for kind in KINDS {
        let vit = vit(kind, Precision::F32);
        for isa in available() {
            // Kernels read the instruction set on the calling thread and tell it to their workers.
            let errors = with_isa(isa, || errors_of_tokens(kind, &vit));
            assert_eq!(errors.len(), if kind == "vitpose" { 1 } else { 2 });
            assert!(errors.iter().all(|error| *error <= 2e-4), "{kind} {}: {errors:?}", isa.name());
        }
    }
}

#[test]
fn states_between_layers_are_those_of_transformers() {
    for kind in KINDS {
        let (vit, fixture) = (vit(kind, Precision::F32), fixture(kind));
        for size in ["native", "other"] {
            let Some(image) = fixture.get(&format!("{size}.pixel_values")) else { continue };
            // Not in order, and one of them twice.
            let at = [2, 0, 1, 0];
            let states = vit.layers(image, &at).unwrap();
            assert_eq!(states.len(), at.len());
            for (state, behind) in states.iter().zip(at) {
                let error = error(state, &fixture[&format!("{size}.hidden_states.{behind}")]);
                assert!(error <= 2e-4, "{kind} {size} {behind}: {error}");
            }
            let (_, _, height, width) = image.dims4().unwrap();
            let [rows, columns] = vit.grid([height, width]);
            assert_eq!(states[0].dim(1).unwrap(), vit.prefix() + rows * columns, "{kind}");
        }
        assert!(vit.layers(&fixture["native.pixel_values"], &[3]).is_err());
    }
}

#[test]
fn images_of_a_batch_do_not_mix() {
    let (vit, fixture) = (vit("dinov2-registers", Precision::F32), fixture("dinov2-registers"));
    let images = &fixture["other.pixel_values"];
    let both = vit.tokens(images).unwrap();
    for item in 0..2 {
        let alone = vit.tokens(&images.narrow(0, item, 1).unwrap()).unwrap();
        assert!(error(&alone, &both.narrow(0, item, 1).unwrap()) < 1e-5);
    }
}

#[test]
fn lower_precisions_stay_close() {
    // Measured on these checkpoints, the worst of all kinds and instruction sets: f32 9e-7 of the
    // largest value, bf16 8.6e-3, int8 3.3e-2 (whose 36 channels average little of it away).
    for (precision, most) in [(Precision::Bf16, 1.5e-2), (Precision::Int8, 5e-2)] {
        for kind in KINDS {
            let vit = vit(kind, precision);
            for isa in available() {
                let errors = with_isa(isa, || errors_of_tokens(kind, &vit));
                // An error of f32's size would mean that f32 is what ran.
                let fits = |error: &f32| (1e-4..most).contains(error);
                assert!(errors.iter().all(fits), "{kind} {precision:?} {}: {errors:?}", isa.name());
            }
        }
    }
}

#[test]
fn a_config_that_leaves_things_out_means_the_defaults_of_transformers() {
    // `facebook/dinov2-giant` states these; the rest is Dinov2Config's.
    let giant = serde_json::json!({"model_type": "dinov2", "hidden_size": 1536, "num_hidden_layers": 40,
        "num_attention_heads": 24, "image_size": 518, "use_swiglu_ffn": true, "hidden_act": "gelu"});
    let (giant, names) = VitConfig::of(&giant).unwrap();
    assert_eq!((giant.hidden, giant.patch, giant.image, giant.eps), (4096, 14, [518, 518], 1e-6));
    assert!(names.block.gate.is_some() && names.block.scales.is_some());
    let (clip, _) = VitConfig::of(&serde_json::json!({"model_type": "clip_vision_model"})).unwrap();
    assert_eq!((clip.dim, clip.depth, clip.heads, clip.hidden, clip.patch), (768, 12, 12, 3072, 32));
}

#[test]
fn what_does_not_fit_is_an_error() {
    for wrong in [
        serde_json::json!({"model_type": "resnet"}),
        serde_json::json!({"model_type": "vit", "patch_size": [16, 8]}),
        serde_json::json!({"model_type": "vit", "patch_size": 0}),
        serde_json::json!({"model_type": "vit", "hidden_act": "mish"}),
        serde_json::json!({"model_type": "vit", "hidden_size": "large"}),
        serde_json::json!({"model_type": "vitpose_backbone", "num_experts": 0}),
        serde_json::json!({"model_type": "vit", "num_experts": 6}),
    ] {
        assert!(VitConfig::of(&wrong).is_err(), "{wrong}");
    }
    let vit = vit("vit", Precision::F32);
    for shape in [[1, 3, 5, 24], [1, 4, 24, 24]] {
        let image = Tensor::zeros(&shape, percept_backbone::DType::F32, &Device::Cpu).unwrap();
        assert!(vit.tokens(&image).is_err(), "{shape:?}");
    }
}
