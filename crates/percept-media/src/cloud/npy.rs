//! Arrays of numpy, `.npy` (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>): N rows of 3 columns
//! x y z, or more as a text file has them.
//!
//! Crates that read it bring a grammar for Python literals along; the header has three keys.

use std::io::Read;

use percept_core::cloud::Scalar;

use super::CloudLimits;
use super::failure::Failure;
use super::format::{Bytes, Found};
use super::number::{Order, decode as number};
use super::table::{Table, scalars};

pub(super) fn decode(reader: &mut dyn Bytes, length: u64, limits: CloudLimits) -> Result<Found, Failure> {
    let mut start = [0; 8];
    reader.read_exact(&mut start)?;
    let mut size = [0; 4];
    let long = if start[6] == 1 { 2 } else { 4 };
    reader.read_exact(&mut size[..long])?;
    let size = u64::from(u32::from_le_bytes(size));
    if size > 1 << 16 {
        return Err(Failure::Broken(format!("its header takes {size} bytes")));
    }
    let mut header = String::new();
    reader.take(size).read_to_string(&mut header)?;
    let Header { kind, order, by_columns, rows, columns } =
        parse(&header).ok_or_else(|| Failure::Unsupported(format!("the array {}", header.trim())))?;
    if !(3..=64).contains(&columns) {
        return Err(Failure::NoCoordinates(format!("its rows have {columns} numbers")));
    }
    let behind = length.saturating_sub(reader.stream_position()?);
    limits.check(rows, behind / (columns * kind.size() as u64))?;
    let (rows, columns) = (rows as usize, columns as usize);
    let mut table = vec![Vec::new(); columns];
    let mut bytes = vec![0; kind.size()];
    for at in 0..rows * columns {
        reader.read_exact(&mut bytes)?;
        let column = if by_columns { at / rows } else { at % columns };
        table[column].push(number(&bytes, kind, order));
    }
    let names = (0..columns)
        .map(|at| ["x", "y", "z"].get(at).map_or(format!("column_{}", at + 1), |name| (*name).into()));
    let columns = names.zip(table).map(|(name, values)| scalars(&name, kind, values)).collect();
    Ok(Found {
        table: Table { columns, elements: vec![] },
        format: "npy",
        encoding: format!("{kind:?}").to_lowercase(),
    })
}

struct Header {
    kind: Scalar,
    order: Order,
    by_columns: bool,
    rows: u64,
    columns: u64,
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
    let mut shape = shape.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse);
    let (rows, columns) = (shape.next()?.ok()?, shape.next()?.ok()?);
    let by_columns = behind("'fortran_order'")?.starts_with("True");
    shape.next().is_none().then_some(Header { kind, order, by_columns, rows, columns })
}
