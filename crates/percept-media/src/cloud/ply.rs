//! PLY (Turk 1994). ply-rs-bw reads the header; the rows behind it are fixed-size numbers and lists.

use percept_core::cloud::{Attribute, Element, Scalar, Values};
use ply_rs_bw::parser::{Parser, Reader};
use ply_rs_bw::ply::{DefaultElement, ElementDef, Encoding, PropertyType, ScalarType};

use super::CloudLimits;
use super::failure::Failure;
use super::format::{Bytes, Found};
use super::number::{Order, decode as number};
use super::table::Table;

/// A list of a face or the like is not longer.
const LONGEST_LIST: f64 = 1e6;

pub(super) fn decode(reader: &mut dyn Bytes, length: u64, limits: CloudLimits) -> Result<Found, Failure> {
    let mut reader = Reader::new(reader);
    let header = Parser::<DefaultElement>::new().read_header(&mut reader);
    let header = header.map_err(|error| Failure::Broken(first_line(&error.to_string())))?;
    let reader = reader.into_inner();
    let behind = length.saturating_sub(reader.stream_position()?);
    let mut table = Table::default();
    let mut found_points = false;
    for definition in header.elements.values() {
        let points = definition.name == "vertex";
        found_points |= points;
        limits.check(definition.count as u64, behind / least_bytes(definition, header.encoding))?;
        let attributes = match header.encoding {
            Encoding::Ascii => ascii(reader, definition)?,
            Encoding::BinaryLittleEndian => binary(reader, definition, Order::Little)?,
            Encoding::BinaryBigEndian => binary(reader, definition, Order::Big)?,
        };
        if points {
            table.columns = attributes;
        } else {
            table.elements.push(Element {
                name: definition.name.clone(),
                count: definition.count,
                attributes,
            });
        }
    }
    if !found_points {
        return Err(Failure::NoCoordinates("it has no element `vertex`".into()));
    }
    Ok(Found { table, format: "ply", encoding: header.encoding.to_string() })
}

/// Errors of the parser go on to quote and debug.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

fn kind_of(kind: &ScalarType) -> Scalar {
    match kind {
        ScalarType::Char => Scalar::I8,
        ScalarType::UChar => Scalar::U8,
        ScalarType::Short => Scalar::I16,
        ScalarType::UShort => Scalar::U16,
        ScalarType::Int => Scalar::I32,
        ScalarType::UInt => Scalar::U32,
        ScalarType::Float => Scalar::F32,
        ScalarType::Double => Scalar::F64,
    }
}

/// What an item takes at least, so that a promise can be compared with the file; at least 1.
fn least_bytes(definition: &ElementDef, encoding: Encoding) -> u64 {
    let size = |data_type: &PropertyType| match (encoding, data_type) {
        // A digit and what parts it from the next.
        (Encoding::Ascii, _) => 2,
        (_, PropertyType::Scalar(kind) | PropertyType::List(kind, _)) => kind_of(kind).size() as u64,
    };
    definition.properties.values().map(|property| size(&property.data_type)).sum::<u64>().max(1)
}

fn columns(definition: &ElementDef) -> Vec<Attribute> {
    let column = |(name, data_type): (&String, &PropertyType)| Attribute {
        name: name.clone(),
        values: match data_type {
            PropertyType::Scalar(kind) => Values::Scalars { kind: kind_of(kind), values: Vec::new() },
            PropertyType::List(length, kind) => {
                Values::Lists { length: kind_of(length), kind: kind_of(kind), values: Vec::new() }
            }
        },
    };
    definition.properties.iter().map(|(name, property)| column((name, &property.data_type))).collect()
}

fn binary(reader: &mut dyn Bytes, definition: &ElementDef, order: Order) -> Result<Vec<Attribute>, Failure> {
    let mut columns = columns(definition);
    let ends = |found: usize| Failure::Ends { promised: definition.count as u64, found: found as u64 };
    let fixed: Option<usize> = columns
        .iter()
        .map(|column| match column.values {
            Values::Scalars { kind, .. } => Some(kind.size()),
            Values::Lists { .. } => None,
        })
        .sum();
    let mut row = vec![0; fixed.unwrap_or(8)];
    for at in 0..definition.count {
        if fixed.is_some() {
            reader.read_exact(&mut row).map_err(|_| ends(at))?;
        }
        let mut place = 0;
        for column in &mut columns {
            match &mut column.values {
                Values::Scalars { kind, values } => {
                    if fixed.is_none() {
                        place = 0;
                        reader.read_exact(&mut row[..kind.size()]).map_err(|_| ends(at))?;
                    }
                    values.push(number(&row[place..], *kind, order));
                    place += kind.size();
                }
                Values::Lists { length, kind, values } => {
                    reader.read_exact(&mut row[..length.size()]).map_err(|_| ends(at))?;
                    let length = list_length(number(&row, *length, order))?;
                    let mut list = Vec::with_capacity(length.min(64));
                    for _ in 0..length {
                        reader.read_exact(&mut row[..kind.size()]).map_err(|_| ends(at))?;
                        list.push(number(&row, *kind, order));
                    }
                    values.push(list);
                }
            }
        }
    }
    Ok(columns)
}

fn list_length(length: f64) -> Result<usize, Failure> {
    if (0.0..=LONGEST_LIST).contains(&length) {
        Ok(length as usize)
    } else {
        Err(Failure::Broken(format!("a list of it has {length} entries")))
    }
}

fn ascii(reader: &mut dyn Bytes, definition: &ElementDef) -> Result<Vec<Attribute>, Failure> {
    let mut columns = columns(definition);
    let mut line = String::new();
    for at in 0..definition.count {
        line.clear();
        // Empty lines are no items; files with one behind the header exist.
        while line.trim_ascii().is_empty() {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Err(Failure::Ends { promised: definition.count as u64, found: at as u64 });
            }
        }
        let mut words = line.split_ascii_whitespace();
        let mut next = || {
            let word = words.next().ok_or_else(|| {
                Failure::Broken(format!("`{}` {} has too few numbers", definition.name, at + 1))
            })?;
            word.parse::<f64>().map_err(|_| Failure::Broken(format!("`{word}` is not a number")))
        };
        for column in &mut columns {
            match &mut column.values {
                Values::Scalars { kind, values } => values.push(as_stored(next()?, *kind)),
                Values::Lists { kind, values, .. } => {
                    let length = list_length(next()?)?;
                    let list: Result<Vec<f64>, _> =
                        (0..length).map(|_| next().map(|value| as_stored(value, *kind))).collect();
                    values.push(list?);
                }
            }
        }
    }
    Ok(columns)
}

/// A text may have more digits than its type holds.
fn as_stored(value: f64, kind: Scalar) -> f64 {
    if kind == Scalar::F32 { f64::from(value as f32) } else { value }
}
