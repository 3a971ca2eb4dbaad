//! Weights by name, from any published layout: `safetensors` (whole or in shards), CTranslate2's `model.bin`, and what
//! `torch.save` writes.
//!
//! Only the header of a file is read when it is opened; each tensor is read when a layer asks for it,
//! and what is packed for a matrix product is read a few rows at a time. So a checkpoint is never in
//! memory twice.

mod ctranslate2;
mod entry;
mod pickle;
mod safetensors;
mod stack;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use percept_core::{Error, LocalModel, Precision};

use entry::{Entry, read_at};

pub use entry::Stored;
pub(crate) use entry::Table;
pub(crate) use stack::Stack;

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

/// The tensors of a checkpoint under a prefix, as PyTorch's `state_dict` names them.
#[derive(Clone, Debug)]
pub struct Weights {
    table: Arc<HashMap<String, Entry>>,
    prefix: String,
    device: Device,
    precision: Precision,
    few_rows: bool,
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

    /// The tensors of a safetensors file that is in memory, such as one that is part of the program; `name` is for what is
    /// wrong with it.
    pub fn of_safetensors(bytes: &[u8], name: &str, device: &Device) -> Result<Self, WeightsError> {
        let mut table = HashMap::new();
        safetensors::read_memory(bytes, name, &mut table)?;
        Ok(Self::new(table, device))
    }

    /// Opens a CTranslate2 `model.bin`; the names are its own until [`Weights::renamed`].
    pub fn open_ctranslate2(path: &Path, device: &Device) -> Result<Self, WeightsError> {
        let table = ctranslate2::read_table(path)?;
        Ok(Self::new(table, device))
    }

    /// Opens what `torch.save` wrote (`.pth`, `.pth.tar`): a dictionary of tensors, or one that has it under `key`. Unlike
    /// the other layouts it is read into memory at once.
    pub fn open_pickle(path: &Path, key: Option<&str>, device: &Device) -> Result<Self, WeightsError> {
        Ok(Self::new(pickle::read(path, key)?, device))
    }

    fn new(table: HashMap<String, Entry>, device: &Device) -> Self {
        Self {
            table: Arc::new(table),
            prefix: String::new(),
            device: device.clone(),
            precision: Precision::F32,
            few_rows: false,
        }
    }

    /// The same tensors for layers that multiply a few rows at a time, as in decoding. On the processor
    /// they are then kept in the form that is smallest to read, not in the one that is fastest for
    /// many rows.
    pub fn for_few_rows(&self) -> Self {
        Self { few_rows: true, ..self.clone() }
    }

    /// The same tensors for layers that multiply many rows at a time, which is what they are for at first.
    pub(crate) fn for_many_rows(&self) -> Self {
        Self { few_rows: false, ..self.clone() }
    }

    /// Whether layers multiply a few rows at a time.
    pub(crate) fn serves_few_rows(&self) -> bool {
        self.few_rows
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

    /// The same tensors with those matrices that `turns` names stored by column: `[in, out]`, as GPT-2 has its
    /// convolutions, becomes `[out, in]`.
    ///
    /// # Errors
    /// If one of them is no matrix of floats, or cannot be read.
    pub fn transposed(&self, turns: impl Fn(&str) -> bool) -> Result<Self, WeightsError> {
        let turned = self.table.iter().map(|(name, entry)| {
            let entry = if turns(name) { entry.transposed()? } else { entry.clone() };
            Ok((name.clone(), entry))
        });
        let table = turned.collect::<Result<HashMap<_, _>, WeightsError>>()?;
        Ok(Self { table: Arc::new(table), ..self.clone() })
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
        let values = self.entry(name, shape)?.read()?;
        Tensor::from_vec(values, shape, &self.device).map_err(WeightsError::Engine)
    }

    /// A tensor `[rows, dim]` that stays where it is stored; its rows are read when they are wanted.
    pub(crate) fn table(&self, name: &str, rows: usize, dim: usize) -> Result<Table, WeightsError> {
        self.entry(name, &[rows, dim]).map(Table)
    }

    /// Where a tensor of that shape lies.
    fn entry(&self, name: &str, shape: &[usize]) -> Result<Entry, WeightsError> {
        let name = self.full(name);
        let entry = self.table.get(&name).ok_or_else(|| WeightsError::Missing { name: name.clone() })?;
        if entry.shape != shape {
            return Err(WeightsError::Shape { name, wanted: shape.to_vec(), found: entry.shape.clone() });
        }
        Ok(entry.clone())
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
