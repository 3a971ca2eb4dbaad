//! Checkpoints as `torch.save` writes them: a zip archive with a pickle of where tensors lie, and their numbers.
//!
//! The pickle is read for tensors alone; nothing that it names is ever run.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::DType;
use candle_core::pickle::PthTensors;

use super::entry::Bytes;
use super::{Entry, Stored, WeightsError};

/// The floats of a file's dictionary, or of the dictionary under `key` in it. All of them are read, into memory.
pub(super) fn read(path: &Path, key: Option<&str>) -> Result<HashMap<String, Entry>, WeightsError> {
    let wrong = |reason: String| {
        WeightsError::Format(format!(
            "`{}` is not a checkpoint of PyTorch 1.6 or later: {reason}",
            path.display()
        ))
    };
    let file = PthTensors::new(path, key).map_err(|error| wrong(error.to_string()))?;
    let mut table = HashMap::new();
    for (name, info) in file.tensor_infos() {
        if !matches!(info.dtype, DType::F32 | DType::F16 | DType::BF16 | DType::F64) {
            continue;
        }
        if info.layout.start_offset() != 0 {
            return Err(wrong(format!("tensor `{name}` is a part of another one")));
        }
        let tensor = file.get(name).map_err(|error| wrong(format!("tensor `{name}`: {error}")))?;
        let Some(tensor) = tensor else { continue };
        let shape = tensor.dims().to_vec();
        let values = tensor.to_dtype(DType::F32).and_then(|tensor| tensor.flatten_all()?.to_vec1::<f32>());
        let bytes = values.map_err(WeightsError::Engine)?.into_iter().flat_map(f32::to_le_bytes).collect();
        let file = Arc::new(Bytes::Memory(bytes));
        table.insert(name.clone(), Entry { file, stored: Stored::F32, shape, offset: 0, scale: None });
    }
    if table.is_empty() {
        return Err(wrong(format!(
            "it has no tensors{}",
            key.map_or(String::new(), |key| format!(" under `{key}`"))
        )));
    }
    Ok(table)
}
