//! JPEG: grey, colour, CMYK and YCCK, with zune-jpeg.

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::failure::Failure;
use super::info::PictureWarning;
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
    let structure = Structure::of(bytes);
    let (channels, wanted, color) = match stored {
        ColorSpace::Luma => (Channels::Grey, ColorSpace::Luma, "grey8"),
        // Adobe stores inks the other way round, and zune-jpeg takes every file for one of theirs.
        ColorSpace::CMYK if !structure.adobe => (Channels::Inks, ColorSpace::CMYK, "cmyk8"),
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
    let mut warnings = Vec::new();
    if let Err(error) = decode(true) {
        decode(false).map_err(refused)?;
        if structure.ended && !error.to_string().contains("Extra bytes") {
            warnings.push(PictureWarning::Damaged { reason: said(&error) });
        }
    }
    if !structure.ended {
        warnings.push(PictureWarning::Truncated);
    }
    let pixels = Pixels { width, height, channels, samples: Samples::Eight(samples) };
    let chunk = header.exif().map(Vec::as_slice);
    Ok(Decoded {
        orientation: exif::orientation(chunk),
        focal_length_35mm: exif::focal_length_35mm(chunk),
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

/// What the markers of a file tell that the decoder does not.
struct Structure {
    /// It has Adobe's marker.
    adobe: bool,
    /// It has an end.
    ended: bool,
}

impl Structure {
    /// Walks over the segments to the first scan and looks for the end after it.
    fn of(bytes: &[u8]) -> Self {
        const START_OF_SCAN: u8 = 0xda;
        const ADOBE: u8 = 0xee;
        let (mut at, mut adobe) = (2, false);
        while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
            if marker == START_OF_SCAN {
                break;
            }
            if marker == 0xff {
                at += 1;
                continue;
            }
            adobe |= marker == ADOBE && bytes[at + 4..].starts_with(b"Adobe");
            at += 2 + usize::from(u16::from_be_bytes([high, low]));
        }
        let scans = bytes.get(at..).unwrap_or_default();
        Self { adobe, ended: scans.windows(2).any(|pair| pair == [0xff, 0xd9]) }
    }
}
