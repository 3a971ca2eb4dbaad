//! PNGs whose values are numbers: the palette, where there is one, is only for people.

use std::path::Path;

use percept_core::Result;
use png::{BitDepth, ColorType, Transformations};

use crate::pixels::Pixels;

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
    /// [`percept_core::Error::Input`]: it is no PNG, or one in colour.
    pub fn read(path: &Path) -> Result<Self> {
        let colors = [ColorType::Grayscale, ColorType::Indexed];
        let hint = "classes are the values of a grey PNG, or the indices of one with a palette";
        let Pixels { width, height, depth, line, bytes, .. } =
            Pixels::read(path, Transformations::IDENTITY, colors, ("it is a picture in colour", hint))?;
        let (columns, bits) = (width as usize, depth as usize);
        let row = |line: &[u8]| -> Vec<u16> {
            match depth {
                BitDepth::Sixteen => {
                    line.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
                }
                BitDepth::Eight => line.iter().map(|value| u16::from(*value)).collect(),
                _ => (0..columns)
                    .map(|x| {
                        let shift = 8 - bits - x * bits % 8;
                        u16::from(line[x * bits / 8] >> shift) & ((1 << bits) - 1)
                    })
                    .collect(),
            }
        };
        let values = bytes.chunks_exact(line).flat_map(row).collect();
        Ok(Self { width, height, values })
    }
}
