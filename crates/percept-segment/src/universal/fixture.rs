//! Reading the fixtures of tests/golden.

use std::path::PathBuf;
use std::sync::Arc;

use percept_backbone::{Device, Tensor, Weights};
use percept_core::segment::{Image, SegmentInput, SegmentOptions, SegmentRequest};
use percept_core::{LocalModel, Model, Precision, Segment};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde_json::Value;

/// A folder of tests/golden.
pub(crate) fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

/// The snapshot in a folder.
pub(crate) fn snapshot(name: &str) -> LocalModel {
    LocalModel::of_folder(name, &folder(name)).unwrap()
}

/// Its weights.
pub(crate) fn weights(name: &str, precision: Precision) -> Weights {
    Weights::open_safetensors(&snapshot(name), &Device::Cpu).unwrap().in_precision(precision)
}

pub(crate) fn json(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder(path)).unwrap()).unwrap()
}

/// A file of tensors, f32 or i32.
pub(crate) struct Fixture(Vec<u8>);

impl Fixture {
    pub(crate) fn open(path: &str) -> Self {
        Self(std::fs::read(folder(path)).unwrap())
    }

    pub(crate) fn tensor(&self, name: &str) -> Tensor {
        let all = SafeTensors::deserialize(&self.0).unwrap();
        let view = all.tensor(name).unwrap();
        assert_eq!(view.dtype(), Dtype::F32, "{name}");
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        Tensor::from_vec(values.collect::<Vec<_>>(), view.shape(), &Device::Cpu).unwrap()
    }

    pub(crate) fn integers(&self, name: &str) -> Vec<i32> {
        let all = SafeTensors::deserialize(&self.0).unwrap();
        let view = all.tensor(name).unwrap();
        assert_eq!(view.dtype(), Dtype::I32, "{name}");
        view.data().chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    pub(crate) fn bytes(&self, name: &str) -> (Vec<usize>, Vec<u8>) {
        let all = SafeTensors::deserialize(&self.0).unwrap();
        let view = all.tensor(name).unwrap();
        assert_eq!(view.dtype(), Dtype::U8, "{name}");
        (view.shape().to_vec(), view.data().to_vec())
    }
}

/// The largest difference, as a part of the largest reference value.
#[track_caller]
pub(crate) fn error(found: &Tensor, wanted: &Tensor) -> f32 {
    assert_eq!(found.dims(), wanted.dims());
    let largest = |x: Tensor| x.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    largest((found - wanted).unwrap()) / largest(wanted.clone())
}

/// Rows and columns.
pub(crate) fn pair(value: &Value) -> [usize; 2] {
    [0, 1].map(|axis| value[axis].as_u64().unwrap() as usize)
}

/// A picture in which no two pixels are alike for long.
pub(crate) fn speckled(width: u32, height: u32, seed: u32) -> Arc<Image> {
    let byte = |at: u32| (at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8;
    Arc::new(Image::new(width, height, (0..3 * width * height).map(byte).collect()))
}

/// Pictures of several sizes get the answers together that they get alone, but for the last digits of scores: sums of
/// products are grouped otherwise.
pub(crate) fn together_as_alone(model: &dyn Model<Segment>, request: &SegmentRequest) {
    let options = SegmentOptions { request: request.clone(), score: Some(0.0), ..SegmentOptions::default() };
    let options = Arc::new(options);
    let images =
        [(40, 30, 1), (40, 30, 2), (25, 60, 3), (40, 30, 4)].map(|(w, h, seed)| speckled(w, h, seed));
    let inputs: Vec<SegmentInput> =
        images.into_iter().map(|image| SegmentInput { image, options: options.clone() }).collect();
    let together = model.predict(&inputs).unwrap();
    assert_eq!(together.len(), inputs.len());
    for (input, together) in inputs.iter().zip(together) {
        let alone = model.predict(std::slice::from_ref(input)).unwrap().remove(0);
        let (together, alone) = (together.output.instances, alone.output.instances);
        assert!(!alone.is_empty() && together.len() == alone.len());
        for (a, b) in together.iter().zip(&alone) {
            assert_eq!((&a.label, a.id), (&b.label, b.id));
            assert!((a.score - b.score).abs() < 1e-5, "{} {}", a.score, b.score);
            assert!(a.mask.iou(&b.mask) > 0.99);
        }
    }
}
