//! Which decoder a file wants, by its first bytes.

use super::failure::Failure;
use super::{Decoded, PictureLimits, decode, jpeg, png, tiff};
use crate::magic::{self, Table};

/// Bytes that the tables below look at.
pub(super) const HEAD: u64 = 64;

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    WebP,
    Tiff,
    Bmp,
    Gif,
    Pnm,
    Hdr,
}

const FORMATS: &[(&[u8], Format)] = &[
    (b"\xff\xd8\xff", Format::Jpeg),
    (b"\x89PNG\r\n\x1a\n", Format::Png),
    (b"GIF8", Format::Gif),
    (b"BM", Format::Bmp),
    (b"II*\0", Format::Tiff),
    (b"MM\0*", Format::Tiff),
    (b"II+\0", Format::Tiff),
    (b"MM\0+", Format::Tiff),
    (b"#?RADIANCE", Format::Hdr),
    (b"#?RGBE", Format::Hdr),
];

/// Camera raws that are, or look like, TIFF.
const RAWS: &Table = &[
    (b"II*\0\x10\0\0\0CR", "a Canon raw picture"),
    (b"IIU\0", "a Panasonic raw picture"),
    (b"IIRO", "an Olympus raw picture"),
    (b"IIRS", "an Olympus raw picture"),
    (b"MMOR", "an Olympus raw picture"),
    (b"FUJIFILMCCD-RAW", "a Fujifilm raw picture"),
];

/// What holds sound.
const SOUNDS: &Table = &[
    (b"ID3", "an MP3 sound file"),
    (b"fLaC", "a FLAC sound file"),
    (b"OggS", "an Ogg sound file"),
    (b"FORM", "an AIFF sound file"),
    (b"caff", "a CAF sound file"),
];

impl Format {
    /// The format of a file that begins with `head`.
    pub(super) fn of(head: &[u8]) -> Result<Self, Failure> {
        if head.is_empty() {
            return Err(Failure::Empty);
        }
        if let Some(name) = magic::named(RAWS, head) {
            return Err(Failure::Foreign(name));
        }
        if let Some((_, format)) = FORMATS.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Ok(*format);
        }
        if let [b'P', b'1'..=b'7', after, ..] = head
            && (after.is_ascii_whitespace() || *after == b'#')
        {
            return Ok(Self::Pnm);
        }
        match (head.get(..4), head.get(4..8), head.get(8..12)) {
            (Some(b"RIFF"), _, Some(b"WEBP")) => return Ok(Self::WebP),
            (Some(b"RIFF" | b"RIFX" | b"RF64"), _, Some(b"WAVE")) => {
                return Err(Failure::Other("a WAVE sound file"));
            }
            _ => {}
        }
        if let Some(name) = magic::picture(head) {
            return Err(Failure::Foreign(name));
        }
        if let Some(name) = magic::video(head) {
            return Err(Failure::Video(name));
        }
        Err(match magic::named(SOUNDS, head).or_else(|| magic::other(head)) {
            Some(name) => Failure::Other(name),
            None if head.get(4..8) == Some(b"ftyp") => Failure::Other("an MPEG-4 sound file"),
            None if head.starts_with(b"<svg") || head.starts_with(b"<?xml") => {
                Failure::Foreign("an SVG or XML file")
            }
            None if is_text(head) => Failure::Other("text"),
            None => Failure::Unknown,
        })
    }

    /// What it is called in results.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Tiff => "tiff",
            Self::Bmp => "bmp",
            Self::Gif => "gif",
            Self::Pnm => "pnm",
            Self::Hdr => "hdr",
        }
    }

    /// Decodes a whole file.
    pub(super) fn decode(self, bytes: Vec<u8>, limits: PictureLimits) -> Result<Decoded, Failure> {
        match self {
            Self::Jpeg => jpeg::decode(&bytes, limits),
            Self::Png => png::decode(&bytes, limits),
            Self::Tiff => tiff::decode(&bytes, limits),
            Self::WebP => decode::webp(&bytes, limits),
            Self::Gif => decode::gif(&bytes, limits),
            Self::Bmp => decode::bmp(&bytes, limits),
            Self::Pnm => decode::pnm(&bytes, limits),
            Self::Hdr => decode::hdr(&bytes, limits),
        }
    }
}

fn is_text(head: &[u8]) -> bool {
    // The last character may be cut.
    let whole = &head[..head.len().saturating_sub(3).max(1)];
    let text = match std::str::from_utf8(whole) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&whole[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    text.chars().all(|c| !c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_called_by_their_names() {
        let said = |bytes: &[u8]| Format::of(bytes).map_err(|failure| failure.to_string());
        assert_eq!(said(b""), Err("the file is empty".into()));
        assert_eq!(said(b"RIFF\x10\0\0\0WAVEfmt "), Err("it is a WAVE sound file, not a picture".into()));
        assert_eq!(said("naïve text, as it is".as_bytes()), Err("it is text, not a picture".into()));
        assert_eq!(
            said(b"\0\0\0\x18ftypheic\0\0"),
            Err("it is a HEIC picture, which is not supported".into())
        );
        assert_eq!(
            said(b"\0\0\0\x18ftypisom\0\0"),
            Err("it is an MP4 or QuickTime video, not a picture".into())
        );
        assert_eq!(said(b"\0\0\0\x18ftypM4A \0\0"), Err("it is an MPEG-4 sound file, not a picture".into()));
        assert_eq!(said(b"RIFF\x10\0\0\0AVI LIST"), Err("it is an AVI video, not a picture".into()));
        assert_eq!(said(b"\x01\x02\x03\x04"), Err("it is no picture of a known kind".into()));
        assert_eq!(
            said(b"II*\0\x10\0\0\0CR\x02\0"),
            Err("it is a Canon raw picture, which is not supported".into())
        );
        assert_eq!(said(b"RIFF\x10\0\0\0WEBPVP8 "), Ok(Format::WebP));
        assert_eq!(said(b"P6\n3 2\n255\n"), Ok(Format::Pnm));
        assert_eq!(said(b"P6ter Piper picked"), Err("it is text, not a picture".into()));
    }
}
