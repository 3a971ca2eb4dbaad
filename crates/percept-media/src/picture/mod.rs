//! Pictures of the common file formats, upright, as 8-bit sRGB, and the encoders for what is made of them.
//!
//! - JPEG (also grey, CMYK and YCCK), PNG, WebP, TIFF, BMP, GIF, PNM and Radiance HDR are read. The content
//!   decides, never the name.
//! - The EXIF orientation is applied always and recorded ([`PictureInfo::orientation`]).
//! - What is not 8 bits deep is mapped by a declared rule that is recorded ([`Mapping`]).
//! - Colour profiles are not applied: models were trained on values as they are stored.
//! - A picture of more pixels than [`PictureLimits`] allow is refused before memory is taken for it.
//! - A truncated JPEG gives what is there and a [`PictureWarning`]; other damaged files are an
//!   [`Error::Input`](percept_core::Error::Input) with a hint. No file makes it panic.

mod decode;
mod encode;
mod exif;
mod failure;
mod format;
mod info;
mod jpeg;
mod png;
mod resize;
mod samples;
mod tiff;
mod turn;

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use percept_core::Result;
use percept_core::segment::{Image, Orientation};

pub use crate::source::Source as PictureSource;
pub(crate) use encode::encode_noted_grey16_png;
pub use encode::{
    PictureFormat, encode_grey_png, encode_grey16_png, encode_index_png, encode_jpeg, encode_mask_png,
    encode_png,
};
pub use info::{Mapping, PictureInfo, PictureWarning};
pub use resize::{ResizeFilter, fit_within, resize};
#[cfg(feature = "video")]
pub(crate) use turn::upright;
pub use turn::{displayed_mask, stored_mask};

use failure::Failure;
use format::Format;
use samples::Pixels;

/// Beyond what a picture is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureLimits {
    /// Columns times rows. Decoded pixels may take 8 bytes each: of pictures with deeper ones, fewer fit.
    pub max_pixels: u64,
}

impl Default for PictureLimits {
    /// 500 megapixels.
    fn default() -> Self {
        Self { max_pixels: 500_000_000 }
    }
}

impl PictureLimits {
    /// Bytes that decoded pixels may take.
    fn max_bytes(self) -> u64 {
        self.max_pixels.saturating_mul(8)
    }

    /// Bytes that a file may have: that of an uncompressed picture and much besides.
    fn max_file(self) -> u64 {
        self.max_bytes().saturating_add(256 << 20)
    }

    /// Refuses what is too large; to be asked before memory is taken.
    fn check(self, width: u32, height: u32, bytes_per_pixel: u64) -> Result<(), Failure> {
        let pixels = u64::from(width) * u64::from(height);
        if width == 0 || height == 0 {
            return Err(Failure::Broken(format!("it says it is {width} x {height}")));
        }
        if pixels > self.max_pixels || pixels.saturating_mul(bytes_per_pixel) > self.max_bytes() {
            return Err(Failure::TooLarge { width, height, bytes_per_pixel, limit: self.max_pixels });
        }
        Ok(())
    }
}

/// What a decoder made of the bytes, as it is stored.
struct Decoded {
    pixels: Pixels,
    color: String,
    /// What the decoder did to the values, where it is not to be seen from them.
    mapping: Option<Mapping>,
    orientation: Orientation,
    focal_length_35mm: Option<u16>,
    frames: Option<u32>,
    warnings: Vec<PictureWarning>,
}

impl Decoded {
    /// Of a single picture without further knowledge.
    fn new(pixels: Pixels, color: impl Into<String>) -> Self {
        Self {
            pixels,
            color: color.into(),
            mapping: None,
            orientation: Orientation::UPRIGHT,
            focal_length_35mm: None,
            frames: None,
            warnings: Vec::new(),
        }
    }
}

/// Reads a picture: upright, 8 bits a channel, sRGB.
///
/// # Errors
/// [`Error::Input`](percept_core::Error::Input): it cannot be opened, is no picture or of a format that is not
/// read (it is named, and the hint says what converts it), is damaged, or has more pixels than `limits` allow.
pub fn read(source: PictureSource, limits: PictureLimits) -> Result<(Image, PictureInfo)> {
    let name = source.name().to_path_buf();
    read_opened(source, limits).map_err(|failure| failure.into_error(name))
}

fn read_opened(source: PictureSource, limits: PictureLimits) -> Result<(Image, PictureInfo), Failure> {
    let mut input = source.open()?;
    let format = Format::of(&input.head(format::HEAD)?)?;
    let length = input.length();
    if length > limits.max_file() {
        return Err(Failure::LargeFile { bytes: length, limit: limits.max_file() });
    }
    let mut bytes = Vec::with_capacity(length as usize);
    input.read_to_end(&mut bytes)?;
    let sha256 = input.sha256()?;
    drop(input);

    // Decoders promise not to panic; a damaged file is no reason to take their word for it.
    let decoded = catch_unwind(AssertUnwindSafe(|| format.decode(bytes, limits)))
        .unwrap_or_else(|_| Err(Failure::Broken("its data confuses the decoder".to_owned())))?;
    let (stored, mapping) = decoded.pixels.into_image();
    let (stored_width, stored_height) = stored.size();
    let image = turn::upright(stored, decoded.orientation);
    let mut warnings = decoded.warnings;
    if let Some(frames) = decoded.frames.filter(|frames| *frames > 1) {
        warnings.push(PictureWarning::FirstFrame { frames });
    }
    let info = PictureInfo {
        width: image.width,
        height: image.height,
        stored_width,
        stored_height,
        orientation: decoded.orientation,
        format: format.name(),
        color: decoded.color,
        mapping: decoded.mapping.unwrap_or(mapping),
        focal_length_35mm: decoded.focal_length_35mm,
        frames: decoded.frames,
        bytes: length,
        sha256,
        warnings,
    };
    Ok((image, info))
}
