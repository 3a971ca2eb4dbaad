//! PNGs whose values are numbers: the palette, where there is one, is only for people.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use percept_core::{Error, Result};
use png::{BitDepth, ColorType, Decoder, Limits};

/// A picture of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexPicture {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Row by row.
    pub values: Vec<u16>,
}

impl IndexPicture {
    /// A PNG of grey values or of indices into a palette, of up to 8 or of 16 bits.
    ///
    /// # Errors
    /// [`Error::Input`]: it is no PNG, or one in colour.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::input(path, error))?;
        let limits = Limits { bytes: 1 << 30 };
        let mut decoder = Decoder::new_with_limits(BufReader::new(file), limits);
        decoder.set_transformations(png::Transformations::IDENTITY);
        let mut reader = decoder.read_info().map_err(|error| Error::input(path, error))?;
        let (color, depth) = reader.output_color_type();
        if !matches!(color, ColorType::Grayscale | ColorType::Indexed) {
            return Err(Error::Input {
                path: path.to_owned(),
                cause: "it is a picture in colour".into(),
                hint: Some(
                    "classes are the values of a grey PNG, or the indices of one with a palette".into(),
                ),
            });
        }
        let size = reader.output_buffer_size().ok_or_else(|| Error::input(path, "it is too large"))?;
        let mut bytes = vec![0; size];
        let frame = reader.next_frame(&mut bytes).map_err(|error| Error::input(path, error))?;
        let width = frame.width as usize;
        let bits = depth as usize;
        let row = |line: &[u8]| -> Vec<u16> {
            match depth {
                BitDepth::Sixteen => {
                    line.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
                }
                BitDepth::Eight => line.iter().map(|value| u16::from(*value)).collect(),
                _ => (0..width)
                    .map(|x| {
                        let shift = 8 - bits - x * bits % 8;
                        u16::from(line[x * bits / 8] >> shift) & ((1 << bits) - 1)
                    })
                    .collect(),
            }
        };
        let values = bytes[..frame.buffer_size()].chunks_exact(frame.line_size).flat_map(row).collect();
        Ok(Self { width: frame.width, height: frame.height, values })
    }
}
