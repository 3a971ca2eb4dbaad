//! One tensor in a file: where it lies, and its numbers in the format that is wanted.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::WeightsError;

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
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Int8 | Self::Other => 1,
        }
    }
}

/// Where a tensor lies.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) file: Arc<Bytes>,
    pub(super) stored: Stored,
    pub(super) shape: Vec<usize>,
    /// In bytes from the start of the file.
    pub(super) offset: u64,
    /// Of `Int8`: the tensor with one scale a row.
    pub(super) scale: Option<Box<Entry>>,
}

impl Entry {
    /// Rows `start..start + len` of the first dimension.
    pub(super) fn rows(&self, start: usize, len: usize) -> Self {
        let row = self.shape[1..].iter().product::<usize>() * self.stored.bytes();
        let mut part = self.clone();
        part.shape[0] = len;
        part.offset += (start * row) as u64;
        // One scale may serve all rows.
        part.scale = self.scale.as_ref().map(|scale| match scale.shape.first() {
            Some(count) if *count == self.shape[0] => Box::new(scale.rows(start, len)),
            _ => scale.clone(),
        });
        part
    }

    /// A matrix `[rows, columns]` with its rows as columns, in memory and in the format that it is stored in.
    pub(super) fn transposed(&self) -> Result<Self, WeightsError> {
        let &[rows, columns] = self.shape.as_slice() else {
            return Err(WeightsError::Format(format!("{:?} is no matrix to transpose", self.shape)));
        };
        if matches!(self.stored, Stored::Int8 | Stored::Other) {
            return Err(WeightsError::Format("the number format is not a float".into()));
        }
        let size = self.stored.bytes();
        let mut before = vec![0; rows * columns * size];
        read_at(&self.file, &mut before, self.offset)?;
        let mut behind = vec![0; before.len()];
        for (row, numbers) in before.chunks_exact((columns * size).max(1)).enumerate() {
            for (column, number) in numbers.chunks_exact(size).enumerate() {
                behind[(column * rows + row) * size..][..size].copy_from_slice(number);
            }
        }
        let file = Arc::new(Bytes::Memory(behind));
        Ok(Self { file, shape: vec![columns, rows], offset: 0, ..self.clone() })
    }

    /// Numbers of a row.
    fn width(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// The whole tensor.
    pub(super) fn read(&self) -> Result<Vec<f32>, WeightsError> {
        let mut values = vec![0.0; self.shape.iter().product()];
        self.read_floats(0, &mut values)?;
        Ok(values)
    }

    /// Whole rows as f32, from row `first` on; `values` says how many.
    pub(super) fn read_floats(&self, first: usize, values: &mut [f32]) -> Result<(), WeightsError> {
        let width = self.width();
        let at = |values: &[f32]| values.len() * self.stored.bytes();
        with_buffer(at(values), |bytes| {
            read_at(&self.file, bytes, self.offset + (first * width * self.stored.bytes()) as u64)?;
            match self.stored {
                Stored::F32 => {
                    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                        *value = f32::from_le_bytes(*bytes);
                    }
                }
                Stored::F16 => convert(bytes, values, f16::from_bits),
                Stored::Bf16 => convert(bytes, values, bf16::from_bits),
                Stored::Int8 => {
                    let scales = self.scales(first, values.len() / width.max(1))?;
                    let rows = values.chunks_exact_mut(width.max(1)).zip(bytes.chunks_exact(width.max(1)));
                    for ((row, codes), scale) in rows.zip(scales) {
                        for (value, code) in row.iter_mut().zip(codes) {
                            *value = f32::from(code.cast_signed()) / scale;
                        }
                    }
                }
                Stored::Other => {
                    return Err(WeightsError::Format("the number format is not a float".into()));
                }
            }
            Ok(())
        })
    }

    /// Whole rows of halves as they are stored, from row `first` on.
    pub(super) fn read_halves(&self, first: usize, values: &mut [f16]) -> Result<(), WeightsError> {
        debug_assert_eq!(self.stored, Stored::F16, "the caller has looked");
        with_buffer(values.len() * 2, |bytes| {
            read_at(&self.file, bytes, self.offset + (first * self.width() * 2) as u64)?;
            for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                *value = f16::from_le_bytes(*bytes);
            }
            Ok(())
        })
    }

    /// Whole rows of 8-bit codes as they are stored, from row `first` on.
    pub(super) fn read_codes(&self, first: usize, codes: &mut [i8]) -> Result<(), WeightsError> {
        debug_assert_eq!(self.stored, Stored::Int8, "the caller has looked");
        with_buffer(codes.len(), |bytes| {
            read_at(&self.file, bytes, self.offset + (first * self.width()) as u64)?;
            codes.iter_mut().zip(bytes).for_each(|(code, byte)| *code = byte.cast_signed());
            Ok(())
        })
    }

    /// What the codes of rows are divided by.
    pub(super) fn scales(&self, first: usize, rows: usize) -> Result<Vec<f32>, WeightsError> {
        let Some(scale) = &self.scale else {
            return Err(WeightsError::Format("8-bit weights without a scale".into()));
        };
        let mut scales = vec![0.0; rows];
        match scale.shape.first() {
            Some(count) if *count == self.shape[0] => scale.read_floats(first, &mut scales)?,
            _ => scales.fill(scale.read()?.first().copied().unwrap_or(1.0)),
        }
        Ok(scales)
    }
}

/// Lends this thread's buffer for the bytes of a file. What is done with it reads nothing but scales,
/// which then have a buffer of their own.
fn with_buffer<R>(length: usize, work: impl FnOnce(&mut [u8]) -> R) -> R {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    /// Larger buffers are not kept: whole tensors are read while a model is loaded, and not again.
    const KEPT: usize = 1 << 20;
    let mut buffer = BUFFER.take();
    if buffer.len() < length {
        buffer = vec![0; length];
    }
    let result = work(&mut buffer[..length]);
    if buffer.len() <= KEPT {
        BUFFER.set(buffer);
    }
    result
}

/// Converts two bytes at a time. The slice conversions use the processor's own instruction where it
/// has one.
fn convert<H: Copy>(bytes: &[u8], values: &mut [f32], number: impl Fn(u16) -> H)
where
    [H]: HalfFloatSliceExt,
{
    const TOGETHER: usize = 512;
    let mut run = [number(0); TOGETHER];
    for (values, bytes) in values.chunks_mut(TOGETHER).zip(bytes.chunks(2 * TOGETHER)) {
        for (half, bytes) in run.iter_mut().zip(bytes.as_chunks().0) {
            *half = number(u16::from_le_bytes(*bytes));
        }
        run[..values.len()].convert_to_f32_slice(values);
    }
}

/// A tensor `[rows, dim]` that stays in its file. The file is held open, so that the rows are there as
/// long as the table is; those that are looked up often stay in the system's memory.
#[derive(Clone, Debug)]
pub(crate) struct Table(pub(super) Entry);

impl Table {
    /// Numbers of a row.
    pub(crate) fn width(&self) -> usize {
        self.0.width()
    }

    /// Some rows, `[rows.len(), dim]`.
    pub(crate) fn look_up(&self, rows: &[u32]) -> Result<Tensor, WeightsError> {
        let width = self.width();
        let mut values = vec![0.0; rows.len() * width];
        for (row, values) in rows.iter().zip(values.chunks_exact_mut(width.max(1))) {
            let row = *row as usize;
            if row >= self.0.shape[0] {
                return Err(WeightsError::Format(format!("row {row} of a table of {}", self.0.shape[0])));
            }
            self.0.read_floats(row, values)?;
        }
        Tensor::from_vec(values, (rows.len(), width), &Device::Cpu).map_err(WeightsError::Engine)
    }
}

/// What tensors are read from.
#[derive(Debug)]
pub(super) enum Bytes {
    /// A file that is held open.
    File(File),
    /// What was made of a tensor.
    Memory(Vec<u8>),
}

pub(super) fn read_at(source: &Bytes, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    match source {
        Bytes::File(file) => read_file_at(file, bytes, offset),
        Bytes::Memory(memory) => {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let part = memory.get(start..).and_then(|rest| rest.get(..bytes.len()));
            bytes.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }
    }
}

#[cfg(unix)]
fn read_file_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_file_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
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
