//! CTranslate2's `model.bin`.
//!
//! Layout, version 6 (`ctranslate2/specs/model_spec.py`, `_serialize`), little endian: u32 version,
//! name of the specification, u32 revision, u32 number of variables; a variable is its name, u8
//! rank, u32 dimensions, u8 type, u32 length in bytes, and the data; then u32 number of aliases,
//! each a name and the variable that it stands for. A string is a u16 length with the closing zero
//! counted, and its bytes. 8-bit weights have a variable `<name>_scale` beside them, one scale a
//! row: the stored byte is the weight times the scale.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::entry::Bytes;
use super::{Entry, Stored, WeightsError};

const VERSIONS: std::ops::RangeInclusive<u32> = 5..=6;
const MAX_RANK: u8 = 8;

/// The tensors of the file by CTranslate2's own names, aliases included.
pub(super) fn read_table(path: &Path) -> Result<HashMap<String, Entry>, WeightsError> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let file = Arc::new(Bytes::File(file));
    let mut reader = Reader { inner: BufReader::new(File::open(path)?), position: 0 };
    let cut = |_| WeightsError::Format(format!("`{}` is cut off", path.display()));
    let version = reader.u32().map_err(cut)?;
    if !VERSIONS.contains(&version) {
        return Err(WeightsError::Format(format!(
            "`{}` is version {version} of CTranslate2's format; 5 and 6 are supported",
            path.display()
        )));
    }
    reader.string().map_err(cut)?;
    reader.u32().map_err(cut)?;
    let mut table = HashMap::new();
    for _ in 0..reader.u32().map_err(cut)? {
        let (name, entry, bytes) = reader.variable(&file).map_err(cut)?;
        if entry.offset + bytes > length {
            return Err(WeightsError::Format(format!("`{}` is cut off in `{name}`", path.display())));
        }
        // A hostile shape may multiply to more than a number holds.
        let expected = entry
            .shape
            .iter()
            .try_fold(entry.stored.bytes() as u64, |size, dim| size.checked_mul(*dim as u64));
        if entry.stored != Stored::Other && !entry.shape.is_empty() && expected != Some(bytes) {
            return Err(WeightsError::Format(format!(
                "`{name}` has {bytes} bytes, which its shape {:?} does not fit",
                entry.shape
            )));
        }
        table.insert(name, entry);
    }
    for _ in 0..reader.u32().map_err(cut)? {
        let alias = reader.string().map_err(cut)?;
        let target = reader.string().map_err(cut)?;
        if let Some(entry) = table.get(&target).cloned() {
            table.insert(alias, entry);
        }
    }
    attach_scales(&mut table);
    Ok(table)
}

fn attach_scales(table: &mut HashMap<String, Entry>) {
    let quantised = table
        .iter()
        .filter(|(_, entry)| entry.stored == Stored::Int8 && !entry.shape.is_empty())
        .map(|(name, _)| name.clone())
        .collect::<Vec<_>>();
    for name in quantised {
        // An alias of a weight has its scale under the aliased name too.
        let scale = table.get(&format!("{name}_scale")).cloned();
        if let (Some(scale), Some(entry)) = (scale, table.get_mut(&name)) {
            entry.scale = Some(Box::new(scale));
        }
    }
}

struct Reader {
    inner: BufReader<File>,
    position: u64,
}

impl Reader {
    fn bytes<const N: usize>(&mut self) -> std::io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> std::io::Result<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn string(&mut self) -> std::io::Result<String> {
        let length = u16::from_le_bytes(self.bytes()?);
        let mut bytes = vec![0; usize::from(length)];
        self.inner.read_exact(&mut bytes)?;
        self.position += u64::from(length);
        bytes.pop();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A variable's name, place and length in bytes; the reader stands behind its data.
    fn variable(&mut self, file: &Arc<Bytes>) -> std::io::Result<(String, Entry, u64)> {
        let name = self.string()?;
        let [rank] = self.bytes()?;
        if rank > MAX_RANK {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let shape = (0..rank).map(|_| self.u32().map(|dim| dim as usize)).collect::<Result<Vec<_>, _>>()?;
        let [kind] = self.bytes()?;
        let stored = match kind {
            0 => Stored::F32,
            1 => Stored::Int8,
            4 => Stored::F16,
            5 => Stored::Bf16,
            _ => Stored::Other,
        };
        let bytes = u64::from(self.u32()?);
        let entry = Entry { file: file.clone(), stored, shape, offset: self.position, scale: None };
        self.inner.seek(SeekFrom::Current(bytes as i64))?;
        self.position += bytes;
        Ok((name, entry, bytes))
    }
}
