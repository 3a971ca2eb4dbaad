//! What EXIF says about a picture.

use ::exif::{In, Reader, Tag, Value};
use percept_core::segment::Orientation;

/// The orientation that a chunk of EXIF data states; upright where it says none or nonsense.
pub(super) fn orientation(chunk: Option<&[u8]>) -> Orientation {
    chunk
        .map(without_prefix)
        .and_then(image::metadata::Orientation::from_exif_chunk)
        .and_then(|orientation| Orientation::try_from(orientation.to_exif()).ok())
        .unwrap_or_default()
}

/// The focal length as that of a camera with 36 mm x 24 mm film, in mm.
pub(super) fn focal_length_35mm(chunk: Option<&[u8]>) -> Option<u16> {
    let exif = Reader::new()
        .continue_on_error(true)
        .read_raw(without_prefix(chunk?).to_vec())
        .or_else(|error| error.distill_partial_result(|_| ()))
        .ok()?;
    match &exif.get_field(Tag::FocalLengthIn35mmFilm, In::PRIMARY)?.value {
        // 0 stands for "unknown".
        Value::Short(values) => values.first().copied().filter(|length| *length > 0),
        _ => None,
    }
}

/// Some writers keep the marker of JPEG in front of the TIFF header.
fn without_prefix(chunk: &[u8]) -> &[u8] {
    chunk.strip_prefix(b"Exif\0\0").unwrap_or(chunk)
}
