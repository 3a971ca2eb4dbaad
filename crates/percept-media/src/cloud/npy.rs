//! Arrays of numpy: N rows of 3 columns x y z, or more as a text file has them.

use super::CloudLimits;
use super::failure::Failure;
use super::format::{Bytes, Found};
use super::number::decode as number;
use super::table::{Table, scalars};
use crate::npy::{Header, HeaderError};

impl From<HeaderError> for Failure {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::Io(error) => error.into(),
            HeaderError::Long(_) => Self::Broken(error.to_string()),
            HeaderError::Unsupported(_) => Self::Unsupported(error.to_string()),
        }
    }
}

pub(super) fn decode(reader: &mut dyn Bytes, length: u64, limits: CloudLimits) -> Result<Found, Failure> {
    let Header { kind, order, by_columns, shape } = Header::read(&mut *reader)?;
    let &[rows, columns] = shape.as_slice() else {
        return Err(Failure::Unsupported(format!("an array with {} indices", shape.len())));
    };
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
