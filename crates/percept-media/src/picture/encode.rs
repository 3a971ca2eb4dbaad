//! Pictures as the bytes of files.

use std::path::Path;

use image::ImageEncoder;
use image::codecs::jpeg::JpegEncoder;
use percept_core::segment::{Image, Mask};
use percept_core::{Error, Result};
use png::{BitDepth, ColorType, Compression, Encoder};

/// Formats that pictures are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PictureFormat {
    /// PNG, without loss, with opacity.
    #[default]
    Png,
    /// JPEG of quality 90, without opacity.
    Jpeg,
}

impl PictureFormat {
    /// What the extension of `path` asks for: JPEG for `jpg` and `jpeg`, PNG for all else.
    pub fn from_extension(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some(name) if ["jpg", "jpeg"].iter().any(|jpeg| name.eq_ignore_ascii_case(jpeg)) => Self::Jpeg,
            _ => Self::Png,
        }
    }

    /// The file of a picture.
    ///
    /// # Errors
    /// [`Error::Argument`]: the format does not take pictures of this size.
    pub fn encode(self, image: &Image) -> Result<Vec<u8>> {
        match self {
            Self::Png => encode_png(image),
            Self::Jpeg => encode_jpeg(image, 90),
        }
    }
}

/// A PNG of 8-bit RGB, or RGBA where the picture has opacity.
///
/// # Errors
/// [`Error::Argument`]: the picture has no pixels.
pub fn encode_png(image: &Image) -> Result<Vec<u8>> {
    let write = |color, bytes: &[u8]| {
        let (width, height) = image.size();
        Png { color, compression: Compression::Fast, ..Png::grey(width, height, BitDepth::Eight) }
            .write(&[], bytes)
    };
    let Some(alpha) = &image.alpha else { return write(ColorType::Rgb, &image.rgb) };
    let pixels = image.rgb.as_chunks::<3>().0.iter().zip(alpha);
    let rgba: Vec<u8> =
        pixels.flat_map(|([red, green, blue], alpha)| [*red, *green, *blue, *alpha]).collect();
    write(ColorType::Rgba, &rgba)
}

/// A PNG of 8-bit grey values in rows.
///
/// # Errors
/// [`Error::Argument`]: the values are not `width * height`, or none.
pub fn encode_grey_png(width: u32, height: u32, values: &[u8]) -> Result<Vec<u8>> {
    Png::grey(width, height, BitDepth::Eight).write(&[], values)
}

/// A PNG of 16-bit grey values in rows.
///
/// # Errors
/// [`Error::Argument`]: the values are not `width * height`, or none.
pub fn encode_grey16_png(width: u32, height: u32, values: &[u16]) -> Result<Vec<u8>> {
    encode_noted_grey16_png(width, height, values, &[])
}

/// The same, with notes: names and texts of Latin-1 (`tEXt` chunks).
pub(crate) fn encode_noted_grey16_png(
    width: u32,
    height: u32,
    values: &[u16],
    notes: &[(&str, String)],
) -> Result<Vec<u8>> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
    Png { notes, ..Png::grey(width, height, BitDepth::Sixteen) }.write(&[], &bytes)
}

/// A PNG of 8-bit grey: 255 inside the mask, 0 outside.
///
/// # Errors
/// [`Error::Argument`]: the mask has no pixels.
pub fn encode_mask_png(mask: &Mask) -> Result<Vec<u8>> {
    let values: Vec<u8> = mask.pixels().into_iter().map(|inside| 255 * inside).collect();
    encode_grey_png(mask.width(), mask.height(), &values)
}

/// A PNG whose values are indices, with a palette that shows them in colour: index 0 has the first colour.
///
/// Where an index is above 255, or there are more than 256 colours, a palette cannot hold them: it is a PNG of
/// 16-bit grey then, with the indices as its values.
///
/// # Errors
/// [`Error::Argument`]: the indices are not `width * height`, or none, or one has no colour.
pub fn encode_index_png(width: u32, height: u32, indices: &[u16], palette: &[[u8; 3]]) -> Result<Vec<u8>> {
    let largest = indices.iter().copied().max().unwrap_or_default();
    if largest > 255 || palette.len() > 256 {
        return encode_grey16_png(width, height, indices);
    }
    if usize::from(largest) >= palette.len() {
        return Err(Error::argument(format!("index {largest} has no colour among {}", palette.len())));
    }
    let bytes: Vec<u8> = indices.iter().map(|index| *index as u8).collect();
    let color = ColorType::Indexed;
    Png { color, ..Png::grey(width, height, BitDepth::Eight) }.write(palette.as_flattened(), &bytes)
}

/// A JPEG of `quality` 1 to 100; opacity is dropped.
///
/// # Errors
/// [`Error::Argument`]: the picture has no pixels, or more than 65,535 columns or rows.
pub fn encode_jpeg(image: &Image, quality: u8) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100))
        .write_image(&image.rgb, image.width, image.height, image::ExtendedColorType::Rgb8)
        .map_err(|error| refused("JPEG", image.size(), &error))?;
    Ok(bytes)
}

/// What a PNG shall be.
struct Png<'a> {
    width: u32,
    height: u32,
    color: ColorType,
    depth: BitDepth,
    compression: Compression,
    notes: &'a [(&'a str, String)],
}

impl Png<'_> {
    /// Labels compress well and are few: it is worth the time.
    fn grey(width: u32, height: u32, depth: BitDepth) -> Self {
        Self {
            width,
            height,
            color: ColorType::Grayscale,
            depth,
            compression: Compression::Balanced,
            notes: &[],
        }
    }

    fn write(&self, palette: &[u8], bytes: &[u8]) -> Result<Vec<u8>> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(self.color);
        encoder.set_depth(self.depth);
        encoder.set_compression(self.compression);
        if self.color == ColorType::Indexed {
            encoder.set_palette(palette);
        }
        let noted = self
            .notes
            .iter()
            .try_for_each(|(name, text)| encoder.add_text_chunk((*name).to_owned(), text.clone()));
        let written = noted.and_then(|()| encoder.write_header()).and_then(|mut writer| {
            writer.write_image_data(bytes)?;
            writer.finish()
        });
        written.map_err(|error| refused("PNG", (self.width, self.height), &error))?;
        Ok(file)
    }
}

fn refused(format: &str, (width, height): (u32, u32), error: &dyn std::error::Error) -> Error {
    Error::argument(format!("cannot encode {width} x {height} pixels as {format}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_decides() {
        let format = |name: &str| PictureFormat::from_extension(Path::new(name));
        assert_eq!(format("a.JPG"), PictureFormat::Jpeg);
        assert_eq!(format("a.jpeg"), PictureFormat::Jpeg);
        assert_eq!(format("jpg"), PictureFormat::Png);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(encode_grey_png(2, 2, &[0; 3]).is_err());
        assert!(encode_grey_png(0, 2, &[]).is_err());
        assert!(encode_index_png(1, 1, &[2], &[[0; 3]; 2]).is_err());
        assert!(encode_jpeg(&Image::new(0, 0, vec![]), 90).is_err());
        let long = Image::new(70_000, 1, vec![0; 210_000]);
        assert!(encode_jpeg(&long, 90).unwrap_err().to_string().contains("70000 x 1"));
    }
}
