//! The formats whose decoders give 8-bit or float pixels without much ado: WebP, GIF, BMP, PNM, HDR.

use std::io::{Cursor, ErrorKind};

use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::hdr::HdrDecoder;
use image::codecs::pnm::PnmDecoder;
use image::{ColorType, ImageDecoder, ImageError};

use super::failure::Failure;
use super::samples::{Channels, Pixels, Samples, buffer};
use super::{Decoded, PictureLimits, exif};

/// Frames beyond this are not counted.
const FRAMES: u32 = 10_000;

/// WebP, lossy and lossless; of an animation the first frame.
pub(super) fn webp(bytes: &[u8], limits: PictureLimits) -> Result<Decoded, Failure> {
    let broken = |error: image_webp::DecodingError| Failure::Broken(error.to_string());
    let mut reader = image_webp::WebPDecoder::new(Cursor::new(bytes)).map_err(broken)?;
    let (width, height) = reader.dimensions();
    let channels = if reader.has_alpha() { Channels::Rgba } else { Channels::Rgb };
    limits.check(width, height, channels.count() as u64)?;
    reader.set_memory_limit(usize::try_from(limits.max_bytes()).unwrap_or(usize::MAX));
    let mut values = buffer(width, height, channels.count())?;
    reader.read_image(&mut values).map_err(broken)?;
    let chunk = reader.exif_metadata().ok().flatten();
    let chunk = chunk.as_deref();
    let pixels = Pixels { width, height, channels, samples: Samples::Eight(values) };
    Ok(Decoded {
        orientation: exif::orientation(chunk),
        focal_length_35mm: exif::focal_length_35mm(chunk),
        frames: reader.is_animated().then(|| reader.num_frames()),
        ..Decoded::new(pixels, format!("{}8", channels.name()))
    })
}

/// The first frame of a GIF, on its canvas.
pub(super) fn gif(bytes: &[u8], limits: PictureLimits) -> Result<Decoded, Failure> {
    let decoder = GifDecoder::new(Cursor::new(bytes)).map_err(refused)?;
    let mut decoded = with_image(decoder, limits)?;
    // Every frame could be transparent in places; a channel that is opaque says nothing.
    if let Samples::Eight(values) = &mut decoded.pixels.samples
        && values.iter().skip(3).step_by(4).all(|alpha| *alpha == 255)
    {
        *values = values.as_chunks::<4>().0.iter().flat_map(|[rgb @ .., _]| *rgb).collect();
        decoded.pixels.channels = Channels::Rgb;
    }
    decoded.color = "palette8".to_owned();
    decoded.frames = Some(gif_frames(bytes).max(1));
    Ok(decoded)
}

fn gif_frames(bytes: &[u8]) -> u32 {
    let mut options = gif::DecodeOptions::new();
    options.skip_frame_decoding(true);
    let Ok(mut reader) = options.read_info(Cursor::new(bytes)) else { return 0 };
    let mut frames = 0;
    while frames < FRAMES && matches!(reader.next_frame_info(), Ok(Some(_))) {
        frames += 1;
    }
    frames
}

/// Windows bitmaps.
pub(super) fn bmp(bytes: &[u8], limits: PictureLimits) -> Result<Decoded, Failure> {
    with_image(BmpDecoder::new(Cursor::new(bytes)).map_err(refused)?, limits)
}

/// PBM, PGM, PPM and PAM, of 1 to 16 bits.
pub(super) fn pnm(bytes: &[u8], limits: PictureLimits) -> Result<Decoded, Failure> {
    with_image(PnmDecoder::new(Cursor::new(bytes)).map_err(refused)?, limits)
}

/// Radiance HDR.
pub(super) fn hdr(bytes: &[u8], limits: PictureLimits) -> Result<Decoded, Failure> {
    with_image(HdrDecoder::new_nonstrict(Cursor::new(bytes)).map_err(refused)?, limits)
}

fn with_image(decoder: impl ImageDecoder, limits: PictureLimits) -> Result<Decoded, Failure> {
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    let (channels, deep) = match color {
        ColorType::L8 => (Channels::Grey, "8"),
        ColorType::La8 => (Channels::GreyAlpha, "8"),
        ColorType::Rgb8 => (Channels::Rgb, "8"),
        ColorType::Rgba8 => (Channels::Rgba, "8"),
        ColorType::L16 => (Channels::Grey, "16"),
        ColorType::La16 => (Channels::GreyAlpha, "16"),
        ColorType::Rgb16 => (Channels::Rgb, "16"),
        ColorType::Rgba16 => (Channels::Rgba, "16"),
        ColorType::Rgb32F => (Channels::Rgb, "32f"),
        ColorType::Rgba32F => (Channels::Rgba, "32f"),
        other => return Err(Failure::Unsupported(format!("pixels of the kind {other:?}"))),
    };
    let bytes_per_pixel = usize::from(color.bytes_per_pixel());
    limits.check(width, height, bytes_per_pixel as u64)?;
    let mut values = buffer(width, height, bytes_per_pixel)?;
    decoder.read_image(&mut values).map_err(refused)?;
    let samples = match deep {
        "8" => Samples::Eight(values),
        "16" => Samples::sixteen(&values),
        _ => Samples::float(&values),
    };
    Ok(Decoded::new(Pixels { width, height, channels, samples }, format!("{}{deep}", channels.name())))
}

fn refused(error: ImageError) -> Failure {
    match error {
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Failure::Broken("it ends in the middle".to_owned())
        }
        ImageError::Unsupported(error) => Failure::Unsupported(error.to_string()),
        error => Failure::Broken(error.to_string()),
    }
}
