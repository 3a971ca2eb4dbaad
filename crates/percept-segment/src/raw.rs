//! Tensors as `--raw` writes them.

use percept_backbone::{DType, EngineError, Tensor};
use percept_core::{RawTensor, RawValues};

/// A tensor of floats under a name.
pub(crate) fn raw_floats(name: &str, tensor: Result<Tensor, EngineError>) -> Result<RawTensor, EngineError> {
    let tensor = tensor?;
    let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(RawTensor { name: name.into(), shape: tensor.dims().to_vec(), values: RawValues::F32(values) })
}
