//! Raw tensors to a safetensors file and back, as `--raw` writes them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use percept_core::{Cause, Error, RawTensor, RawValues, Result, write};
use safetensors::{Dtype, SafeTensors, View};

/// Writes `tensors` to a safetensors file at `path`, whole or not at all.
///
/// # Errors
/// [`Error::Output`]: the file cannot be written, two tensors have one name, or a shape does not fit
/// its values.
pub fn write(path: &Path, tensors: &[RawTensor]) -> Result<()> {
    let bytes =
        serialize(tensors).map_err(|cause| Error::Output { path: path.to_path_buf(), cause, hint: None })?;
    write::atomic(path, &bytes)
}

/// Reads the tensors of a safetensors file that are 32-bit floats or 64-bit integers, by name.
///
/// # Errors
/// [`Error::Input`]: the file cannot be read or is no safetensors.
pub fn read(path: &Path) -> Result<Vec<RawTensor>> {
    let bytes = std::fs::read(path).map_err(|error| Error::input(path, error))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| Error::Input {
        path: path.to_path_buf(),
        cause: error.into(),
        hint: Some("it should be a file that `--raw` wrote".into()),
    })?;
    let mut names: Vec<&str> = file.names();
    names.sort_unstable();
    let tensors = names.into_iter().filter_map(|name| {
        let tensor = file.tensor(name).ok()?;
        let (bytes, shape) = (tensor.data(), tensor.shape().to_vec());
        let values = match tensor.dtype() {
            Dtype::F32 => {
                RawValues::F32(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
            }
            Dtype::I64 => {
                RawValues::I64(bytes.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
            }
            _ => return None,
        };
        Some(RawTensor { name: name.to_owned(), shape, values })
    });
    Ok(tensors.collect())
}

fn serialize(tensors: &[RawTensor]) -> Result<Vec<u8>, Cause> {
    let mut names = HashSet::new();
    for tensor in tensors {
        if !names.insert(tensor.name.as_str()) {
            return Err(format!("there are two tensors called `{}`", tensor.name).into());
        }
        let (wanted, got) = (tensor.shape.iter().product::<usize>(), count(&tensor.values));
        if wanted != got {
            return Err(format!("`{}` of shape {:?} has {got} values", tensor.name, tensor.shape).into());
        }
    }
    // What numpy and torch readers expect to be told.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let views = tensors.iter().map(|tensor| (tensor.name.as_str(), Bytes(tensor)));
    Ok(safetensors::serialize(views, Some(metadata))?)
}

fn count(values: &RawValues) -> usize {
    match values {
        RawValues::F32(values) => values.len(),
        RawValues::I64(values) => values.len(),
    }
}

/// A tensor as little-endian bytes.
struct Bytes<'a>(&'a RawTensor);

impl View for Bytes<'_> {
    fn dtype(&self) -> Dtype {
        match self.0.values {
            RawValues::F32(_) => Dtype::F32,
            RawValues::I64(_) => Dtype::I64,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match &self.0.values {
            RawValues::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            RawValues::I64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }

    fn data_len(&self) -> usize {
        count(&self.0.values) * self.dtype().bitsize() / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[usize], values: RawValues) -> RawTensor {
        RawTensor { name: name.into(), shape: shape.into(), values }
    }

    #[test]
    fn what_is_written_is_read_by_safetensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/raw.safetensors");
        let tensors = [
            tensor("logits", &[1, 3], RawValues::F32(vec![1.5, -2.0, f32::INFINITY])),
            tensor("sequences", &[2], RawValues::I64(vec![-1, 50_257])),
            tensor("nothing", &[0, 4], RawValues::F32(vec![])),
        ];
        write(&path, &tensors).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let read = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(read.len(), 3);
        let logits = read.tensor("logits").unwrap();
        assert_eq!((logits.dtype(), logits.shape()), (Dtype::F32, &[1, 3][..]));
        assert_eq!(logits.data()[..4], 1.5_f32.to_le_bytes());
        let sequences = read.tensor("sequences").unwrap();
        assert_eq!(sequences.dtype(), Dtype::I64);
        assert_eq!(sequences.data()[8..], 50_257_i64.to_le_bytes());
        let [logits, sequences, nothing] = tensors;
        assert_eq!(super::read(&path).unwrap(), [logits, nothing, sequences]);
        std::fs::write(&path, b"no tensors").unwrap();
        assert!(super::read(&path).unwrap_err().hint().is_some());
    }

    #[test]
    fn nonsense_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("raw.safetensors");
        let one = || tensor("x", &[1], RawValues::F32(vec![0.0]));
        let error = write(&path, &[one(), one()]).unwrap_err();
        assert!(error.chain().contains("two tensors called `x`"), "{}", error.chain());
        let error = write(&path, &[tensor("y", &[2, 2], RawValues::I64(vec![1]))]).unwrap_err();
        assert!(error.chain().contains("has 1 values"), "{}", error.chain());
        assert!(!path.exists());
    }
}
