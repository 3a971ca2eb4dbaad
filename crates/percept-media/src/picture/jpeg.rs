//! JPEG: grey, colour, CMYK and YCCK, with zune-jpeg.

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::failure::Failure;
use super::info::{Mapping, PictureWarning};
use super::samples::{Channels, Pixels, Samples, buffer};
use super::{Decoded, PictureLimits, exif};

/// Decodes the picture; where it ends early or makes no sense in places, with a warning.
pub(super) fn decode(bytes: &[u8], limits: PictureLimits) -> Result<Decoded, Failure> {
    let options = DecoderOptions::default().set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut header = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    header.decode_headers().map_err(refused)?;
    let (width, height) =
        header.dimensions().ok_or_else(|| Failure::Broken("it has no header".to_owned()))?;
    let (width, height) = (width as u32, height as u32);
    let stored = header.input_colorspace().unwrap_or(ColorSpace::YCbCr);
    let (channels, wanted, color) = match stored {
        ColorSpace::Luma => (Channels::Grey, ColorSpace::Luma, "grey8"),
        // Adobe stores inks the other way round; zune-jpeg takes every file for one of theirs, as Pillow does.
        ColorSpace::CMYK => (Channels::Rgb, ColorSpace::RGB, "cmyk8"),
        ColorSpace::YCCK => (Channels::Rgb, ColorSpace::RGB, "ycck8"),
        ColorSpace::RGB => (Channels::Rgb, ColorSpace::RGB, "rgb8"),
        _ => (Channels::Rgb, ColorSpace::RGB, "ycbcr8"),
    };
    // A progressive picture keeps its coefficients, 2 bytes each, until the end.
    limits.check(width, height, channels.count() as u64)?;

    let mut samples = buffer(width, height, channels.count())?;
    let mut decode = |strict: bool| {
        let options = options.jpeg_set_out_colorspace(wanted).set_strict_mode(strict);
        JpegDecoder::new_with_options(ZCursor::new(bytes), options).decode_into(&mut samples)
    };
    let (ended, mut warnings) = (has_end(bytes), Vec::new());
    if let Err(error) = decode(true) {
        decode(false).map_err(refused)?;
        if ended && !error.to_string().contains("Extra bytes") {
            warnings.push(PictureWarning::Damaged { reason: said(&error) });
        }
    }
    if !ended {
        warnings.push(PictureWarning::Truncated);
    }
    let pixels = Pixels { width, height, channels, samples: Samples::Eight(samples) };
    let chunk = header.exif().map(Vec::as_slice);
    Ok(Decoded {
        orientation: exif::orientation(chunk),
        focal_length_35mm: exif::focal_length_35mm(chunk),
        mapping: matches!(stored, ColorSpace::CMYK | ColorSpace::YCCK).then_some(Mapping::Inks),
        warnings,
        ..Decoded::new(pixels, color)
    })
}

fn refused(error: DecodeErrors) -> Failure {
    match error {
        DecodeErrors::Unsupported(scheme) => Failure::Unsupported(format!("{scheme:?}")),
        error => Failure::Broken(said(&error)),
    }
}

fn said(error: &DecodeErrors) -> String {
    // Some messages end their line.
    error.to_string().trim().to_owned()
}

/// Whether the end marker comes after the first scan.
fn has_end(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    const FILL: u8 = 0xff;
    // From segment to segment, since those before the scan may hold whole JPEGs: thumbnails.
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        match marker {
            START_OF_SCAN => break,
            FILL => at += 1,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    bytes.get(at..).unwrap_or_default().windows(2).any(|pair| pair == [0xff, 0xd9])
}
