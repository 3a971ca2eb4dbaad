//! The header of numpy's arrays, `.npy` (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).
//!
//! Crates that read it bring a grammar for Python literals along; the header has three keys.

use std::io::{self, Read};

use percept_core::cloud::Scalar;

use crate::cloud::Order;

/// What a file begins with.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";

/// What an array is.
#[derive(Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) kind: Scalar,
    pub(crate) order: Order,
    /// Whether the first index changes fastest.
    pub(crate) by_columns: bool,
    pub(crate) shape: Vec<u64>,
}

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("its header takes {0} bytes")]
    Long(u32),
    #[error("the array {0}")]
    Unsupported(String),
}

impl Header {
    /// From the beginning of a file to that of its data.
    pub(crate) fn read(mut reader: impl Read) -> Result<Self, HeaderError> {
        let mut start = [0; 8];
        reader.read_exact(&mut start)?;
        let mut size = [0; 4];
        let long = if start[6] == 1 { 2 } else { 4 };
        reader.read_exact(&mut size[..long])?;
        let size = u32::from_le_bytes(size);
        if size > 1 << 16 {
            return Err(HeaderError::Long(size));
        }
        let mut header = String::new();
        reader.take(u64::from(size)).read_to_string(&mut header)?;
        parse(&header).ok_or_else(|| HeaderError::Unsupported(header.trim().to_owned()))
    }
}

/// `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }`
fn parse(header: &str) -> Option<Header> {
    let behind = |key: &str| header.split_once(key)?.1.split_once(':').map(|(_, rest)| rest.trim_start());
    let descr = behind("'descr'")?.strip_prefix('\'')?.split('\'').next()?;
    let (order, kind) = descr.split_at_checked(1)?;
    let order = if order == ">" { Order::Big } else { Order::Little };
    let kind = match kind {
        "i1" => Scalar::I8,
        "u1" => Scalar::U8,
        "i2" => Scalar::I16,
        "u2" => Scalar::U16,
        "i4" => Scalar::I32,
        "u4" => Scalar::U32,
        "f4" => Scalar::F32,
        "f8" => Scalar::F64,
        _ => return None,
    };
    let shape = behind("'shape'")?.strip_prefix('(')?.split(')').next()?;
    let sides = shape.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse);
    let shape = sides.collect::<Result<_, _>>().ok()?;
    let by_columns = behind("'fortran_order'")?.starts_with("True");
    Some(Header { kind, order, by_columns, shape })
}
