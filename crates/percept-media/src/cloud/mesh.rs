//! The vertices of meshes: OBJ (`v x y z [r g b]`, `vn`), and STL, where each triangle brings its three corners.

use std::collections::HashSet;
use std::io::{BufRead, Read};

use percept_core::cloud::Scalar;

use super::CloudLimits;
use super::failure::Failure;
use super::format::{Bytes, Found};
use super::table::{Table, scalars};

const STL_HEADER: u64 = 84;
const STL_TRIANGLE: u64 = 50;

/// Whether the size of a file is that of a binary STL with as many triangles as it says.
pub(super) fn is_binary_stl(head: &[u8], length: u64) -> bool {
    let count = head.get(80..84).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    count.is_some_and(|count| count > 0 && STL_HEADER + STL_TRIANGLE * u64::from(count) == length)
}

/// Whether a text has a vertex as OBJ writes it.
pub(super) fn is_obj(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    text.lines().map(str::trim_start).any(|line| line.starts_with("v ") || line.starts_with("vn "))
}

pub(super) fn decode_obj(reader: &mut dyn Bytes, limits: CloudLimits) -> Result<Found, Failure> {
    let mut columns = vec![Vec::new(); 6];
    let mut normals = vec![Vec::new(); 3];
    let mut lines = Lines::new(reader);
    while let Some((number, line)) = lines.next()? {
        let mut words = line.split_ascii_whitespace();
        let (key, least) = (words.next().unwrap_or_default(), 3);
        let into = match key {
            "v" => &mut columns,
            "vn" => &mut normals,
            _ => continue,
        };
        let values = words.map(|word| word.parse::<f64>()).collect::<Result<Vec<f64>, _>>();
        let values = values.ok().filter(|values| values.len() >= least);
        let values = values.ok_or_else(|| Failure::Broken(format!("line {number} is not a vertex")))?;
        // A fourth number is a weight; three more are a colour.
        let color = if values.len() >= 6 { &values[3..6] } else { &[] };
        for (column, value) in into.iter_mut().zip(values[..3].iter().chain(color)) {
            column.push(*value);
        }
        limits.check(columns[0].len() as u64, u64::MAX)?;
    }
    let points = columns[0].len();
    let names = ["x", "y", "z", "red", "green", "blue"];
    let mut table = Table::default();
    for (name, values) in names.iter().zip(columns).filter(|(_, values)| values.len() == points) {
        let kind = if *name < "x" { color_kind(&values) } else { Scalar::F64 };
        table.columns.push(scalars(name, kind, values));
    }
    // Faces say which normal belongs to which vertex; where there is one each, that is the usual order.
    if normals[0].len() == points {
        for (name, values) in ["nx", "ny", "nz"].iter().zip(normals) {
            table.columns.push(scalars(name, Scalar::F32, values));
        }
    }
    Ok(Found { table, format: "obj", encoding: "ascii".into() })
}

fn color_kind(values: &[f64]) -> Scalar {
    if values.iter().any(|value| *value > 1.0) { Scalar::U8 } else { Scalar::F32 }
}

/// Corners that several triangles share come once, in the order in which they appear.
#[derive(Default)]
struct Corners {
    seen: HashSet<[u64; 3]>,
    columns: [Vec<f64>; 3],
}

impl Corners {
    fn add(&mut self, corner: [f64; 3], limits: CloudLimits) -> Result<(), Failure> {
        if self.seen.insert(corner.map(f64::to_bits)) {
            for (column, value) in self.columns.iter_mut().zip(corner) {
                column.push(value);
            }
            limits.check(self.seen.len() as u64, u64::MAX)?;
        }
        Ok(())
    }

    fn found(self, encoding: &str) -> Found {
        let [x, y, z] = self.columns;
        let columns = [("x", x), ("y", y), ("z", z)];
        let columns = columns.map(|(name, values)| scalars(name, Scalar::F64, values)).into();
        Found { table: Table { columns, elements: vec![] }, format: "stl", encoding: encoding.into() }
    }
}

pub(super) fn decode_binary_stl(reader: &mut dyn Bytes, limits: CloudLimits) -> Result<Found, Failure> {
    let mut header = [0; STL_HEADER as usize];
    reader.read_exact(&mut header)?;
    let mut corners = Corners::default();
    let mut triangle = [0; STL_TRIANGLE as usize];
    // The size of the file was compared with the number of triangles.
    while reader.read_exact(&mut triangle).is_ok() {
        let number = |at: usize| {
            let at = 12 + 4 * at;
            f64::from(f32::from_le_bytes([
                triangle[at],
                triangle[at + 1],
                triangle[at + 2],
                triangle[at + 3],
            ]))
        };
        for corner in 0..3 {
            corners.add([0, 1, 2].map(|axis| number(3 * corner + axis)), limits)?;
        }
    }
    Ok(corners.found("binary_little_endian"))
}

pub(super) fn decode_text_stl(reader: &mut dyn Bytes, limits: CloudLimits) -> Result<Found, Failure> {
    let mut corners = Corners::default();
    let mut lines = Lines::new(reader);
    while let Some((number, line)) = lines.next()? {
        let Some(rest) = line.trim_start().strip_prefix("vertex") else { continue };
        let values: Vec<f64> = rest.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
        let corner = <[f64; 3]>::try_from(values);
        corners
            .add(corner.map_err(|_| Failure::Broken(format!("line {number} is not a vertex")))?, limits)?;
    }
    Ok(corners.found("ascii"))
}

/// Lines of bounded length with their numbers.
struct Lines<'a> {
    reader: &'a mut dyn Bytes,
    number: usize,
    line: Vec<u8>,
}

impl<'a> Lines<'a> {
    fn new(reader: &'a mut dyn Bytes) -> Self {
        Self { reader, number: 0, line: Vec::new() }
    }

    fn next(&mut self) -> Result<Option<(usize, String)>, Failure> {
        self.line.clear();
        if self.reader.take(1 << 16).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some((self.number, String::from_utf8_lossy(&self.line).into_owned())))
    }
}
