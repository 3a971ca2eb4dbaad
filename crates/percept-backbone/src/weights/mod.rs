//! Weights by name, from any published layout: `safetensors` (whole or in shards) and CTranslate2's
//! `model.bin`.
//!
//! Only the header of a file is read when it is opened; each tensor is read and turned into f32 when
//! a layer asks for it, so a checkpoint is never in memory twice.

mod ctranslate2;
mod safetensors;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use percept_core::{Error, LocalModel, Precision};

/// A weight that cannot be had, or does not fit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// No tensor of that name.
    #[error("tensor `{name}` is missing")]
    Missing {
        /// Its full name.
        name: String,
    },
    /// A tensor of another shape.
    #[error("tensor `{name}` is {found:?}, the configuration says {wanted:?}")]
    Shape {
        /// Its full name.
        name: String,
        /// The shape that the configuration asks for.
        wanted: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A number format that is not a float, or a damaged header.
    #[error("{0}")]
    Format(String),
    /// The file cannot be read.
    #[error("cannot read the weights")]
    Io(#[from] io::Error),
    /// The engine refused.
    #[error(transparent)]
    Engine(candle_core::Error),
}

impl WeightsError {
    /// As percept's error, with the model's name.
    pub fn of(self, model: &str) -> Error {
        Error::Weights { model: model.to_owned(), cause: self.into() }
    }
}

/// A number format that weights are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// 32-bit float.
    F32,
    /// IEEE half.
    F16,
    /// Brain float.
    Bf16,
    /// Signed bytes; a row is divided by its scale to give floats.
    Int8,
    /// Something else: kept in the table, refused when it is asked for.
    Other,
}

impl Stored {
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Int8 | Self::Other => 1,
        }
    }
}

/// Where a tensor lies.
#[derive(Clone, Debug)]
struct Entry {
    file: Arc<File>,
    stored: Stored,
    shape: Vec<usize>,
    /// In bytes from the start of the file.
    offset: u64,
    /// Of `Int8`: the tensor with one scale a row.
    scale: Option<Box<Entry>>,
}

impl Entry {
    /// Rows `start..start + len` of the first dimension.
    fn rows(&self, start: usize, len: usize) -> Self {
        let row = self.shape[1..].iter().product::<usize>() * self.stored.bytes();
        let mut part = self.clone();
        part.shape[0] = len;
        part.offset += (start * row) as u64;
        part.scale = self.scale.as_ref().map(|scale| Box::new(scale.rows(start, len)));
        part
    }

    fn read(&self) -> Result<Vec<f32>, WeightsError> {
        let count = self.shape.iter().product::<usize>();
        let mut bytes = vec![0_u8; count * self.stored.bytes()];
        read_at(&self.file, &mut bytes, self.offset)?;
        let words = bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
        let mut values = vec![0_f32; count];
        match self.stored {
            Stored::F32 => {
                for (value, b) in values.iter_mut().zip(bytes.chunks_exact(4)) {
                    *value = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                }
            }
            // The slice conversions use the processor's own instruction where it has one.
            Stored::F16 => words.map(f16::from_bits).collect::<Vec<_>>().convert_to_f32_slice(&mut values),
            Stored::Bf16 => words.map(bf16::from_bits).collect::<Vec<_>>().convert_to_f32_slice(&mut values),
            Stored::Int8 => {
                let scales = match &self.scale {
                    Some(scale) => scale.read()?,
                    None => return Err(WeightsError::Format("8-bit weights without a scale".into())),
                };
                let row = count / scales.len().max(1);
                for (index, (value, byte)) in values.iter_mut().zip(&bytes).enumerate() {
                    *value = f32::from(*byte as i8) / scales[index / row];
                }
            }
            Stored::Other => return Err(WeightsError::Format("the number format is not a float".into())),
        }
        Ok(values)
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_read(file, bytes, offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[count..];
        offset += count as u64;
    }
    Ok(())
}

/// The tensors of a checkpoint under a prefix, as PyTorch's `state_dict` names them.
#[derive(Clone, Debug)]
pub struct Weights {
    table: Arc<HashMap<String, Entry>>,
    prefix: String,
    device: Device,
    precision: Precision,
}

impl Weights {
    /// Opens the `*.safetensors` of a Hugging Face snapshot, in shards or whole.
    pub fn open_safetensors(local: &LocalModel, device: &Device) -> percept_core::Result<Self> {
        let paths = safetensors::paths(local)?;
        let mut table = HashMap::new();
        for path in paths {
            safetensors::read_header(&path, &mut table).map_err(|error| error.of(&local.id))?;
        }
        Ok(Self::new(table, device))
    }

    /// Opens a CTranslate2 `model.bin`; the names are its own until [`Weights::renamed`].
    pub fn open_ctranslate2(path: &Path, device: &Device) -> Result<Self, WeightsError> {
        let table = ctranslate2::read_table(path)?;
        Ok(Self::new(table, device))
    }

    fn new(table: HashMap<String, Entry>, device: &Device) -> Self {
        Self {
            table: Arc::new(table),
            prefix: String::new(),
            device: device.clone(),
            precision: Precision::F32,
        }
    }

    /// The same tensors for layers that multiply in another number format, where the device is the
    /// processor.
    pub fn in_precision(&self, precision: Precision) -> Self {
        Self { precision, ..self.clone() }
    }

    /// The number format that layers multiply in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The same tensors under other names. `rename` gives, for a name and its shape, the new names
    /// and the rows of the first dimension that each takes; a tensor without a new name is left out.
    pub fn renamed(&self, rename: impl Fn(&str, &[usize]) -> Vec<(String, std::ops::Range<usize>)>) -> Self {
        let mut table = HashMap::new();
        for (name, entry) in self.table.iter().filter(|(_, entry)| !entry.shape.is_empty()) {
            for (new, rows) in rename(name, &entry.shape) {
                table.insert(new, entry.rows(rows.start, rows.len()));
            }
        }
        Self { table: Arc::new(table), ..self.clone() }
    }

    /// The tensors below `name`.
    pub fn at(&self, name: impl AsRef<str>) -> Self {
        Self { prefix: self.full(name.as_ref()), ..self.clone() }
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.table.contains_key(&self.full(name))
    }

    /// The shape of a tensor, when it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.table.get(&self.full(name)).map(|entry| entry.shape.as_slice())
    }

    /// The number format that a tensor is stored in, when it is there.
    pub fn stored(&self, name: &str) -> Option<Stored> {
        self.table.get(&self.full(name)).map(|entry| entry.stored)
    }

    /// The one integer of a scalar entry (CTranslate2 keeps a model's options so).
    pub fn integer(&self, name: &str) -> Option<i64> {
        let entry = self.table.get(&self.full(name))?;
        let mut bytes = [0_u8; 2];
        read_at(&entry.file, &mut bytes, entry.offset).ok()?;
        // Options are stored as 8- or 16-bit integers; `Int8` marks the former.
        Some(match entry.stored {
            Stored::Int8 => i64::from(bytes[0] as i8),
            _ => i64::from(i16::from_le_bytes(bytes)),
        })
    }

    /// A tensor of that shape as f32 on the model's device.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor, WeightsError> {
        let name = self.full(name);
        let entry = self.table.get(&name).ok_or_else(|| WeightsError::Missing { name: name.clone() })?;
        if entry.shape != shape {
            return Err(WeightsError::Shape { name, wanted: shape.to_vec(), found: entry.shape.clone() });
        }
        let values = entry.read()?;
        Tensor::from_vec(values, shape, &self.device).map_err(WeightsError::Engine)
    }

    /// Zeros, for a tensor that an architecture leaves out.
    pub fn zeros(&self, shape: &[usize]) -> Result<Tensor, WeightsError> {
        Tensor::zeros(shape, candle_core::DType::F32, &self.device).map_err(WeightsError::Engine)
    }

    /// The device that tensors are put on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    fn full(&self, name: &str) -> String {
        match (self.prefix.is_empty(), name.is_empty()) {
            (true, _) => name.to_owned(),
            (false, true) => self.prefix.clone(),
            (false, false) => format!("{}.{name}", self.prefix),
        }
    }
}
