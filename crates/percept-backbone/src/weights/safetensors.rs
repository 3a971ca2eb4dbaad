//! The `safetensors` layout of Hugging Face snapshots.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use percept_core::{Error, LocalModel};
use safetensors::tensor::{Dtype, Metadata};

use super::entry::Bytes;
use super::{Entry, Stored, WeightsError};

const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// As open_clip names a whole file, today and in older repositories.
const OPEN_CLIP: [&str; 2] = ["open_clip_model.safetensors", "open_clip_pytorch_model.safetensors"];
/// Longer headers than this are refused by the `safetensors` crate too.
const MAX_HEADER: u64 = 100_000_000;

/// The files that hold the weights: one, or the shards that the index names.
pub(super) fn paths(local: &LocalModel) -> percept_core::Result<Vec<PathBuf>> {
    if let Some(path) = local.find(WHOLE) {
        return Ok(vec![path.to_owned()]);
    }
    let Some(index) = local.find(INDEX) else {
        if let Some(path) = OPEN_CLIP.into_iter().find_map(|name| local.find(name)) {
            return Ok(vec![path.to_owned()]);
        }
        // Other names are as good where there is no choice.
        let mut others = local.files.iter().filter(|(name, _)| name.ends_with(".safetensors"));
        if let (Some((_, only)), None) = (others.next(), others.next()) {
            return Ok(vec![only.clone()]);
        }
        return Ok(vec![local.file(WHOLE)?.to_owned()]);
    };
    let text = std::fs::read_to_string(index).map_err(|error| Error::input(index, error))?;
    let index_json: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| Error::input(index, error))?;
    let shards = index_json["weight_map"]
        .as_object()
        .ok_or_else(|| Error::input(index, "it has no `weight_map`"))?
        .values()
        .filter_map(|shard| shard.as_str())
        .collect::<BTreeSet<_>>();
    shards.into_iter().map(|shard| local.file(shard).map(Path::to_owned)).collect()
}

/// Adds the tensors of one file to the table.
pub(super) fn read_header(path: &Path, table: &mut HashMap<String, Entry>) -> Result<(), WeightsError> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let metadata = header(&mut file, length, path)?;
    enter(metadata, Arc::new(Bytes::File(file)), length, path, table)
}

/// Adds the tensors of a file in memory to the table.
pub(super) fn read_memory(
    bytes: &[u8],
    name: &str,
    table: &mut HashMap<String, Entry>,
) -> Result<(), WeightsError> {
    let (length, name) = (bytes.len() as u64, Path::new(name));
    let metadata = header(&mut &*bytes, length, name)?;
    enter(metadata, Arc::new(Bytes::Memory(bytes.to_vec())), length, name, table)
}

/// The header, and where it ends.
fn header(file: &mut impl Read, length: u64, path: &Path) -> Result<(Metadata, u64), WeightsError> {
    let mut prefix = [0_u8; 8];
    file.read_exact(&mut prefix).map_err(|_| damaged(path, "it is empty or cut off"))?;
    let header = u64::from_le_bytes(prefix);
    if header > MAX_HEADER || header + 8 > length {
        return Err(damaged(path, "its header is longer than the file"));
    }
    let mut bytes = vec![0; header as usize];
    file.read_exact(&mut bytes)?;
    let metadata = serde_json::from_slice(&bytes).map_err(|error| damaged(path, &error.to_string()))?;
    Ok((metadata, 8 + header))
}

fn enter(
    (metadata, begin): (Metadata, u64),
    file: Arc<Bytes>,
    length: u64,
    path: &Path,
    table: &mut HashMap<String, Entry>,
) -> Result<(), WeightsError> {
    for (name, info) in metadata.tensors() {
        let stored = match info.dtype {
            Dtype::F32 => Stored::F32,
            Dtype::F16 => Stored::F16,
            Dtype::BF16 => Stored::Bf16,
            _ => Stored::Other,
        };
        let (start, end) = info.data_offsets;
        if begin + end as u64 > length {
            return Err(damaged(path, &format!("tensor `{name}` lies beyond its end: the file is cut off")));
        }
        let offset = begin + start as u64;
        let entry = Entry { file: file.clone(), stored, shape: info.shape.clone(), offset, scale: None };
        table.insert(name, entry);
    }
    Ok(())
}

fn damaged(path: &Path, reason: &str) -> WeightsError {
    WeightsError::Format(format!("`{}` is not a whole safetensors file: {reason}", path.display()))
}
