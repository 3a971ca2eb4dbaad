//! Depth maps to the bytes of files and back.

mod read;

use std::io::Cursor;

use percept_core::depth::{DepthMap, DepthUnit};
use percept_core::{Error, Result};
use tiff::encoder::{TiffEncoder, colortype};
use tiff::tags::Tag;

use crate::picture::encode_noted_grey16_png;

pub use read::{Field, read};

/// Names of the notes in a PNG.
const UNIT: &str = "depth:unit";
const SCALE: &str = "depth:scale";
const OFFSET: &str = "depth:offset";

fn unit_name(unit: DepthUnit) -> &'static str {
    match unit {
        DepthUnit::Metres => "metres",
        DepthUnit::RelativeInverse => "relative_inverse",
    }
}

/// What a 16-bit value stands for: `offset + scale * value`, in the map's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// Of one step.
    pub scale: f64,
    /// Of the value 0.
    pub offset: f64,
}

impl Quantization {
    /// Metres are millimetres where the farthest fits (65.535 m); all else takes the whole range from the least value to
    /// the greatest.
    pub fn of(map: &DepthMap) -> Self {
        let (least, greatest) = range(map);
        if map.unit == DepthUnit::Metres && least >= 0.0 && greatest <= 65.535 {
            return Self { scale: 0.001, offset: 0.0 };
        }
        let scale = (greatest - least) / f64::from(u16::MAX);
        Self { scale: if scale > 0.0 { scale } else { 1.0 }, offset: least }
    }

    /// The nearest step.
    fn step(self, value: f32) -> u16 {
        ((f64::from(value) - self.offset) / self.scale).round().clamp(0.0, f64::from(u16::MAX)) as u16
    }
}

/// The least and the greatest value.
fn range(map: &DepthMap) -> (f64, f64) {
    let ends = (f64::INFINITY, f64::NEG_INFINITY);
    map.values
        .iter()
        .map(|value| f64::from(*value))
        .fold(ends, |(low, high), value| (low.min(value), high.max(value)))
}

/// A PNG of 16-bit grey; what its values stand for is in its text chunks `depth:unit`, `depth:scale` and `depth:offset`.
///
/// # Errors
/// [`Error::Argument`]: the map has no pixels.
pub fn encode_png(map: &DepthMap) -> Result<Vec<u8>> {
    let quantization = Quantization::of(map);
    let notes = [
        (UNIT, unit_name(map.unit).to_owned()),
        (SCALE, quantization.scale.to_string()),
        (OFFSET, quantization.offset.to_string()),
    ];
    let values: Vec<u16> = map.values.iter().map(|value| quantization.step(*value)).collect();
    encode_noted_grey16_png(map.width, map.height, &values, &notes)
}

/// An array of numpy, version 1.0: f32 `[height, width]`
/// (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).
pub fn encode_npy(map: &DepthMap) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", map.height, map.width);
    // Ten bytes stand before it; data begins at a multiple of 64.
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.push_str(&" ".repeat(padded - header.len() - 1));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(map.values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// A TIFF of 32-bit floats whose description (`ImageDescription`) says what they are.
///
/// # Errors
/// [`Error::Argument`]: the map does not fit a TIFF.
pub fn encode_tiff(map: &DepthMap) -> Result<Vec<u8>> {
    let description = match map.unit {
        DepthUnit::Metres => "depth in metres",
        DepthUnit::RelativeInverse => "relative inverse depth: larger is nearer, scale and shift are unknown",
    };
    let mut bytes = Cursor::new(Vec::new());
    let written = TiffEncoder::new(&mut bytes).and_then(|mut encoder| {
        let mut image = encoder.new_image::<colortype::Gray32Float>(map.width, map.height)?;
        image.encoder().write_tag(Tag::ImageDescription, description)?;
        image.write_data(&map.values)
    });
    written.map_err(|error| {
        Error::argument(format!("cannot encode {} x {} values as TIFF: {error}", map.width, map.height))
    })?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(values: Vec<f32>, unit: DepthUnit) -> DepthMap {
        DepthMap { width: values.len() as u32, height: 1, values, unit, focal: None }
    }

    #[test]
    fn metres_are_millimetres_as_long_as_they_fit() {
        let quantization = Quantization::of(&map(vec![0.5, 65.5], DepthUnit::Metres));
        assert_eq!(quantization, Quantization { scale: 0.001, offset: 0.0 });
        assert_eq!(quantization.step(1.2345), 1235);
        let far = map(vec![10.0, 80.0], DepthUnit::Metres);
        let quantization = Quantization::of(&far);
        assert_eq!((quantization.step(10.0), quantization.step(80.0)), (0, 65_535));
        let flat = Quantization::of(&map(vec![3.0; 4], DepthUnit::RelativeInverse));
        assert_eq!(flat.step(3.0), 0);
        assert_eq!(flat.offset, 3.0);
    }
}
