//! TIFF, of whole numbers and floats, with the tiff crate.

use std::io::Cursor;

use percept_core::segment::Orientation;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::failure::Failure;
use super::samples::{Channels, Pixels, Samples};
use super::{Decoded, PictureLimits};

/// Pages beyond this are not counted.
const PAGES: u32 = 10_000;

type Reader<'a> = Decoder<Cursor<&'a [u8]>>;

/// Decodes the first page.
pub(super) fn decode(bytes: &[u8], limits: PictureLimits) -> Result<Decoded, Failure> {
    let mut reader = Decoder::new(Cursor::new(bytes)).map_err(refused)?;
    if is_raw(&mut reader) {
        return Err(Failure::Foreign("a camera's raw picture"));
    }
    let (width, height) = reader.dimensions().map_err(refused)?;
    let stored = reader.colortype().map_err(refused)?;
    let bits = stored.bit_depth();
    let channels = match stored {
        ColorType::Gray(_) => Channels::Grey,
        ColorType::GrayA(_) | ColorType::Multiband { num_samples: 2, .. } => Channels::GreyAlpha,
        ColorType::RGB(_) => Channels::Rgb,
        ColorType::RGBA(_) => Channels::Rgba,
        ColorType::CMYK(8 | 16) => Channels::Inks,
        ColorType::YCbCr(8) => Channels::LumaChroma,
        other => return Err(Failure::Unsupported(format!("pixels of the kind {other:?}"))),
    };
    // What is decoded stays while it becomes sRGB.
    let bytes_per_pixel = channels.count() * usize::from(bits.div_ceil(8)).max(1);
    limits.check(width, height, bytes_per_pixel as u64)?;
    let mut allowed = Limits::default();
    allowed.decoding_buffer_size = usize::try_from(limits.max_bytes()).unwrap_or(usize::MAX);
    allowed.intermediate_buffer_size = allowed.decoding_buffer_size;
    let mut reader = reader.with_limits(allowed);

    let mut values = DecodingResult::U8(Vec::new());
    let layout = reader.read_image_to_buffer(&mut values).map_err(refused)?;
    if layout.planes > 1 {
        return Err(Failure::Unsupported("channels that lie apart (planar configuration)".to_owned()));
    }
    let color = match &values {
        DecodingResult::F16(_) | DecodingResult::F32(_) | DecodingResult::F64(_) => format!("{bits}f"),
        _ => bits.to_string(),
    };
    let pixels = Pixels { width, height, channels, samples: samples(values, bits, width)? };
    if pixels.len() != width as usize * height as usize * channels.count() {
        return Err(Failure::Broken("its pixels are not as many as it says".to_owned()));
    }
    Ok(Decoded {
        orientation: orientation(&mut reader),
        frames: Some(pages(&mut reader)),
        ..Decoded::new(pixels, format!("{}{color}", channels.name()))
    })
}

/// Values of all kinds as one of ours.
fn samples(values: DecodingResult, bits: u8, width: u32) -> Result<Samples, Failure> {
    Ok(match values {
        DecodingResult::U8(values) if bits < 8 => Samples::Eight(spread(&values, bits, width as usize)?),
        DecodingResult::U8(values) => Samples::Eight(values),
        DecodingResult::U16(values) if bits == 16 => Samples::Sixteen(values),
        DecodingResult::U16(values) => {
            let largest = (1_u32 << bits) - 1;
            let full = |value: u16| (u32::from(value) * 65_535 / largest).min(65_535) as u16;
            Samples::Sixteen(values.into_iter().map(full).collect())
        }
        DecodingResult::U32(values) if bits == 32 => Samples::ThirtyTwo(values),
        DecodingResult::F16(values) => Samples::Float(values.into_iter().map(f32::from).collect()),
        DecodingResult::F32(values) => Samples::Float(values),
        DecodingResult::F64(values) => Samples::Float(values.into_iter().map(|value| value as f32).collect()),
        _ => return Err(Failure::Unsupported(format!("signed or odd whole numbers of {bits} bits"))),
    })
}

/// Grey of 1, 2 or 4 bits, rows beginning at whole bytes, as 0 to 255.
fn spread(packed: &[u8], bits: u8, width: usize) -> Result<Vec<u8>, Failure> {
    if !matches!(bits, 1 | 2 | 4) {
        return Err(Failure::Unsupported(format!("{bits} bits a pixel")));
    }
    let bits = usize::from(bits);
    let largest = (1_usize << bits) - 1;
    let row = |row: &[u8]| {
        let at = |x: usize| usize::from(row[x * bits / 8]) >> (8 - bits - x * bits % 8) & largest;
        (0..width).map(|x| (at(x) * 255 / largest) as u8).collect::<Vec<u8>>()
    };
    Ok(packed.chunks_exact((width * bits).div_ceil(8)).flat_map(row).collect())
}

fn orientation(reader: &mut Reader<'_>) -> Orientation {
    let stated = reader.find_tag_unsigned::<u8>(Tag::Orientation);
    stated.ok().flatten().and_then(|value| Orientation::try_from(value).ok()).unwrap_or_default()
}

/// Raw files of many cameras are TIFF: the first page is a thumbnail, what was taken lies deeper.
fn is_raw(reader: &mut Reader<'_>) -> bool {
    const DNG_VERSION: Tag = Tag::Unknown(50_706);
    const COLOR_FILTER_ARRAY: u32 = 32_803;
    let mut number = |tag| reader.find_tag_unsigned::<u32>(tag).ok().flatten();
    let is_thumbnail = number(Tag::NewSubfileType).is_some_and(|kind| kind & 1 == 1);
    let is_mosaic = number(Tag::PhotometricInterpretation) == Some(COLOR_FILTER_ARRAY);
    is_mosaic
        || reader.find_tag(DNG_VERSION).is_ok_and(|tag| tag.is_some())
        || is_thumbnail && reader.find_tag(Tag::SubIfd).is_ok_and(|tag| tag.is_some())
}

fn pages(reader: &mut Reader<'_>) -> u32 {
    let mut pages = 1;
    while pages < PAGES && reader.more_images() && reader.next_image().is_ok() {
        pages += 1;
    }
    pages
}

fn refused(error: TiffError) -> Failure {
    match error {
        TiffError::UnsupportedError(what) => Failure::Unsupported(what.to_string()),
        TiffError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Failure::Broken("it ends in the middle".to_owned())
        }
        error => Failure::Broken(error.to_string()),
    }
}
