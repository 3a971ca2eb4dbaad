//! Checkpoints as `torch.save` writes them: a zip archive with a pickle of where tensors lie, and their numbers.
//!
//! The pickle is read for tensors alone; nothing that it names is ever run.

use std::collections::HashMap;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::Arc;

use candle_core::DType;
use candle_core::pickle::PthTensors;

use super::entry::Bytes;
use super::{Entry, Stored, WeightsError};

/// The floats of a file's dictionary, or of the dictionary under `key` in it. All of them are read, into memory.
pub(super) fn read(path: &Path, key: Option<&str>) -> Result<HashMap<String, Entry>, WeightsError> {
    let wrong = |reason: String| {
        let path = path.display();
        WeightsError::Format(format!("`{path}` is not a checkpoint of PyTorch 1.6 or later: {reason}"))
    };
    let length = std::fs::metadata(path)?.len();
    // The reader takes the form of a pickle for granted here and there.
    let open = || PthTensors::new(path, key);
    let file = catch_unwind(open).map_err(|_| wrong("its pickle is damaged".into()))?;
    let file = file.map_err(|error| wrong(first_line(&error.to_string())))?;
    let mut table = HashMap::new();
    for (name, info) in file.tensor_infos() {
        if !matches!(info.dtype, DType::F32 | DType::F16 | DType::BF16 | DType::F64) {
            continue;
        }
        if info.layout.start_offset() != 0 {
            return Err(wrong(format!("tensor `{name}` is a part of another one")));
        }
        // Archives of PyTorch are not compressed, so no tensor is larger than its file.
        let mut sizes = info.layout.dims().iter();
        let bytes = sizes.try_fold(info.dtype.size_in_bytes(), |bytes, size| bytes.checked_mul(*size));
        if bytes.is_none_or(|bytes| bytes as u64 > length) {
            return Err(wrong(format!("tensor `{name}` is larger than the file")));
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
        let under = key.map_or(String::new(), |key| format!(" under `{key}`"));
        return Err(wrong(format!("it has no tensors{under}")));
    }
    Ok(table)
}

/// Without the stack of calls that candle may append.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> std::path::PathBuf {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/geotransformer/modelnet");
        tests.join("geotransformer-modelnet.pth.tar")
    }

    #[test]
    fn tensors_under_a_key_are_read_in_their_shapes() {
        let table = read(&golden(), Some("model")).unwrap();
        let entry = &table["backbone.encoder1_2.KPConv.weights"];
        assert_eq!((entry.shape.as_slice(), entry.read().unwrap().len()), (&[15, 2, 2][..], 60));
        assert!(table["optimal_transport.alpha"].shape.is_empty());
        assert!(read(&golden(), Some("weights")).unwrap_err().to_string().contains("weights"));
        assert!(read(&golden(), None).unwrap_err().to_string().contains("no tensors"));
    }

    #[test]
    fn what_is_no_checkpoint_is_an_error() {
        let whole = std::fs::read(golden()).unwrap();
        let path = std::env::temp_dir().join(format!("percept-pickle-{}.pth", std::process::id()));
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path, Some("model")).is_err()
        };
        assert!(refused(b"") && refused(b"PK and no more") && refused(&whole[..whole.len() / 2]));
        // A byte of the pickle is another one: an error, or other numbers, and never a crash.
        let pickle = whole.windows(8).position(|bytes| bytes == b"iteratio").unwrap();
        for at in (pickle..pickle + 4000).step_by(61) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            let _ = refused(&damaged);
        }
        std::fs::remove_file(path).unwrap();
    }
}
