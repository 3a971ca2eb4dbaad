//! What the tests of all architectures need: snapshots and fixtures under `tests/golden`. For tests only: it panics on
//! anything that is not as it should be.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be read is a failed test")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use percept_backbone::{Device, Tensor};
use percept_core::segment::Image;
use percept_core::{LocalModel, Precision, Runtime};
use safetensors::{Dtype, SafeTensors};

/// A folder under `tests/golden`.
pub fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

/// The files of a folder as a snapshot. `instead` says which file stands for which other one.
pub fn snapshot(name: &str, instead: &[(&str, &str)]) -> LocalModel {
    let mut local = LocalModel::of_folder(name, &folder(name)).unwrap();
    for (wanted, file) in instead {
        let path = local.files.remove(*file).unwrap();
        local.files.insert((*wanted).into(), path);
    }
    local
}

/// A run in a precision.
pub fn runtime(precision: Precision) -> Runtime {
    Runtime { precision, ..Runtime::default() }
}

/// The tensors of a fixture.
pub fn fixture(name: &str) -> BTreeMap<String, Tensor> {
    tensors(&std::fs::read(folder(name).join("fixture.safetensors")).unwrap())
}

/// The tensors of a file's bytes: any number format as f32.
pub fn tensors(bytes: &[u8]) -> BTreeMap<String, Tensor> {
    let read = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let data = view.data();
        let values: Vec<f32> = match view.dtype() {
            Dtype::U8 => data.iter().map(|byte| f32::from(*byte)).collect(),
            Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
            Dtype::I64 => {
                data.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32).collect()
            }
            other => panic!("{name} is {other:?}"),
        };
        (name, Tensor::from_vec(values, view.shape(), &Device::Cpu).unwrap())
    };
    SafeTensors::deserialize(bytes).unwrap().tensors().into_iter().map(read).collect()
}

/// The numbers of a tensor.
pub fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// A picture `[height, width, 3]` of a fixture.
pub fn picture(tensor: &Tensor) -> Arc<Image> {
    let (height, width, _) = tensor.dims3().unwrap();
    let bytes = numbers(tensor).into_iter().map(|value| value as u8).collect();
    Arc::new(Image::new(width as u32, height as u32, bytes))
}

/// The largest difference, as a part of the largest reference value.
#[track_caller]
pub fn error(found: &Tensor, wanted: &Tensor) -> f32 {
    assert_eq!(found.dims(), wanted.dims());
    let largest =
        |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, |most: f32, value| most.max(value.abs()));
    let (found, wanted) = (numbers(found), numbers(wanted));
    let difference = largest(&mut found.iter().zip(&wanted).map(|(a, b)| a - b));
    // NaN is larger than nothing: it must not pass.
    assert!(found.iter().all(|value| value.is_finite()));
    difference / largest(&mut wanted.into_iter())
}
