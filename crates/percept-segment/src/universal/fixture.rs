//! Reading the fixtures of tests/golden.

use std::path::PathBuf;

use percept_backbone::{Device, Tensor, Weights};
use percept_core::{LocalModel, Precision};
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
