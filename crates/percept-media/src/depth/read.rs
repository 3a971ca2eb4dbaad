//! Depth from files: what percept writes, and what data sets come as.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use percept_core::depth::DepthUnit;
use percept_core::{Error, Result};
use png::{BitDepth, ColorType, Transformations};
use tiff::decoder::{Decoder, DecodingResult};

use super::{OFFSET, SCALE, UNIT, unit_name};
use crate::cloud::number;
use crate::npy::{self, Header};

/// Bytes that a file may have: 16,384 by 16,384 numbers of 8 bytes.
const MOST: u64 = 2 << 30;
/// Metres of one step where a PNG does not say: millimetres.
const MILLIMETRE: f64 = 0.001;

/// Numbers in rows, as a file has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Row by row. NaN where a PNG has 0 that does not mean depth 0: nothing was measured there.
    pub values: Vec<f32>,
    /// What they are, where the file says so.
    pub unit: Option<DepthUnit>,
}

/// Reads an array of numpy (`.npy`, two indices), a TIFF of one channel, or a PNG of 16-bit grey. Values of a PNG are
/// multiplied by `scale`; where none is given by what the file notes, as percept writes it, else they are millimetres.
///
/// # Errors
/// [`Error::Input`]: it cannot be read, or is none of these.
pub fn read(path: &Path, scale: Option<f64>) -> Result<Field> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| Error::input(path, error))?;
    file.take(MOST).read_to_end(&mut bytes).map_err(|error| Error::input(path, error))?;
    let found = match bytes.as_slice() {
        start if start.starts_with(npy::MAGIC) => array(&bytes),
        start if start.starts_with(b"\x89PNG") => grey(&bytes, scale),
        start if start.starts_with(b"II") || start.starts_with(b"MM") => floats(&bytes),
        _ => Err("it is no npy, TIFF or PNG".into()),
    };
    found.map_err(|cause| Error::Input {
        path: path.to_owned(),
        cause,
        hint: Some(
            "depth is read from npy [height, width], TIFF of one channel and PNG of 16-bit grey".into(),
        ),
    })
}

type Found = std::result::Result<Field, percept_core::Cause>;

fn array(bytes: &[u8]) -> Found {
    let mut cursor = Cursor::new(bytes);
    let Header { kind, order, by_columns, shape } = Header::read(&mut cursor)?;
    let &[height, width] = shape.as_slice() else {
        return Err(format!("it has {} indices, not two", shape.len()).into());
    };
    let data = &bytes[cursor.position() as usize..];
    let count = height.checked_mul(width).and_then(|count| usize::try_from(count).ok());
    let count = count.filter(|count| data.len() / kind.size() >= *count);
    let (Some(count), Ok(height), Ok(width)) = (count, u32::try_from(height), u32::try_from(width)) else {
        return Err("it promises more numbers than it has".into());
    };
    let mut values: Vec<f32> =
        data.chunks_exact(kind.size()).take(count).map(|bytes| number(bytes, kind, order) as f32).collect();
    if by_columns {
        let (rows, columns) = (height as usize, width as usize);
        values = (0..count).map(|at| values[at % columns * rows + at / columns]).collect();
    }
    Ok(Field { width, height, values, unit: None })
}

fn grey(bytes: &[u8], scale: Option<f64>) -> Found {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: MOST as usize });
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info()?;
    if reader.output_color_type() != (ColorType::Grayscale, BitDepth::Sixteen) {
        return Err("its values are not 16-bit grey".into());
    }
    let mut data = vec![0; reader.output_buffer_size().ok_or("it is too large")?];
    let frame = reader.next_frame(&mut data)?;
    reader.finish()?;
    let note = |name: &str| {
        let notes = &reader.info().uncompressed_latin1_text;
        notes.iter().find(|note| note.keyword == name).map(|note| note.text.clone())
    };
    let named = |name: &str| note(UNIT).is_some_and(|unit| unit == name);
    let unit =
        [DepthUnit::Metres, DepthUnit::RelativeInverse].into_iter().find(|unit| named(unit_name(*unit)));
    let noted = |name: &str| note(name).and_then(|text| text.parse::<f64>().ok());
    let (step, offset) = match (scale, noted(SCALE)) {
        (Some(scale), _) => (scale, 0.0),
        (None, Some(step)) => (step, noted(OFFSET).unwrap_or_default()),
        (None, None) => (MILLIMETRE, 0.0),
    };
    let measured = |value: u16| match value {
        0 if unit.is_none() => f32::NAN,
        value => (offset + step * f64::from(value)) as f32,
    };
    let values = data.as_chunks::<2>().0.iter().map(|pair| measured(u16::from_be_bytes(*pair))).collect();
    Ok(Field { width: frame.width, height: frame.height, values, unit })
}

fn floats(bytes: &[u8]) -> Found {
    let mut decoder = Decoder::new(Cursor::new(bytes))?;
    let (width, height) = decoder.dimensions()?;
    let values: Vec<f32> = match decoder.read_image()? {
        DecodingResult::F32(values) => values,
        DecodingResult::F64(values) => values.into_iter().map(|value| value as f32).collect(),
        DecodingResult::F16(values) => values.into_iter().map(|value| value.to_f32()).collect(),
        DecodingResult::U16(values) => values.into_iter().map(f32::from).collect(),
        _ => return Err("its values are neither floats nor of 16 bits".into()),
    };
    if values.len() != width as usize * height as usize {
        return Err("it has more than one channel".into());
    }
    Ok(Field { width, height, values, unit: None })
}

#[cfg(test)]
mod tests {
    use percept_core::depth::DepthMap;

    use super::super::{encode_npy, encode_png, encode_tiff};
    use super::*;

    fn back(bytes: &[u8]) -> Result<Field> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read(file.path(), None)
    }

    #[test]
    fn what_is_written_is_read() {
        let values: Vec<f32> = (0..35).map(|value| 0.25 + value as f32 / 7.0).collect();
        let map = DepthMap { width: 7, height: 5, values, unit: DepthUnit::Metres, focal: None };
        let (npy, tiff) = (back(&encode_npy(&map)).unwrap(), back(&encode_tiff(&map).unwrap()).unwrap());
        assert_eq!((npy.width, npy.height, &npy.values), (7, 5, &map.values));
        assert_eq!(npy, tiff);
        for (unit, off) in [(DepthUnit::Metres, 0.0005), (DepthUnit::RelativeInverse, 0.0001)] {
            let png = back(&encode_png(&DepthMap { unit, ..map.clone() }).unwrap()).unwrap();
            assert_eq!(png.unit, Some(unit));
            assert!(png.values.iter().zip(&map.values).all(|(a, b)| (a - b).abs() <= off + 1e-6), "{png:?}");
        }
    }

    #[test]
    fn damaged_files_are_told() {
        let map =
            DepthMap { width: 3, height: 2, values: vec![1.0; 6], unit: DepthUnit::Metres, focal: None };
        for bytes in [encode_npy(&map), encode_png(&map).unwrap(), encode_tiff(&map).unwrap()] {
            for end in 0..bytes.len() - 1 {
                // What ends in the middle never has more than was there.
                let _ = back(&bytes[..end]).map(|field| assert_eq!(field.values.len(), 6));
            }
        }
        let npy = String::from_utf8_lossy(&encode_npy(&map)).into_owned();
        assert!(npy.contains("(2, 3)"));
        let huge = b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f8', 'fortran_order': False, 'shape': (99999999, 999999999)}";
        assert!(back(huge).is_err());
    }
}
