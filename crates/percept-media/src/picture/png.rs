//! PNG, of all depths and kinds, with the png crate.

use std::io::{Cursor, ErrorKind};

use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations};

use super::failure::Failure;
use super::samples::{Channels, Pixels, Samples, buffer};
use super::{Decoded, PictureLimits, exif};

/// Decodes the picture, or the first one of an animation.
pub(super) fn decode(bytes: &[u8], limits: PictureLimits) -> Result<Decoded, Failure> {
    let memory = usize::try_from(limits.max_bytes()).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: memory });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    // Palettes and few bits to 8 bits, transparent colours to an alpha channel.
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(refused)?;
    let (width, height) = reader.info().size();
    let (output, depth) = reader.output_color_type();
    let channels = match output {
        ColorType::Grayscale => Channels::Grey,
        ColorType::GrayscaleAlpha => Channels::GreyAlpha,
        ColorType::Rgb => Channels::Rgb,
        ColorType::Rgba => Channels::Rgba,
        ColorType::Indexed => return Err(Failure::Broken("it has no palette".to_owned())),
    };
    let bytes_per_pixel = channels.count() * if depth == BitDepth::Sixteen { 2 } else { 1 };
    limits.check(width, height, bytes_per_pixel as u64)?;
    let mut values = buffer(width, height, bytes_per_pixel)?;
    reader.next_frame(&mut values).map_err(refused)?;

    let samples = if depth == BitDepth::Sixteen {
        Samples::Sixteen(values.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect())
    } else {
        Samples::Eight(values)
    };
    let info = reader.info();
    let kind = match info.color_type {
        ColorType::Indexed => "palette",
        ColorType::Grayscale => "grey",
        ColorType::GrayscaleAlpha => "grey_alpha",
        ColorType::Rgb => "rgb",
        ColorType::Rgba => "rgba",
    };
    let chunk = info.exif_metadata.as_deref();
    Ok(Decoded {
        orientation: exif::orientation(chunk),
        focal_length_35mm: exif::focal_length_35mm(chunk),
        frames: info.animation_control.map(|animation| animation.num_frames),
        ..Decoded::new(Pixels { width, height, channels, samples }, format!("{kind}{}", info.bit_depth as u8))
    })
}

fn refused(error: DecodingError) -> Failure {
    match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Failure::Broken("it ends in the middle".to_owned())
        }
        error => Failure::Broken(error.to_string()),
    }
}
