//! What a file is by its first bytes: for errors that name things.

/// Signatures and the names of what begins with them.
pub(crate) type Table = [(&'static [u8], &'static str)];

/// The name of what begins as `head` does.
pub(crate) fn named(table: &Table, head: &[u8]) -> Option<&'static str> {
    table.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, name)| *name)
}

const PICTURES: &Table = &[
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"II+\0", "a BigTIFF picture"),
    (b"MM\0+", "a BigTIFF picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"8BPS", "a Photoshop document"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (b"qoif", "a QOI picture"),
    (b"DDS ", "a DDS texture"),
];

const OTHERS: &Table = &[
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"Rar!", "a rar archive"),
    (b"\x7fELF", "a program"),
    (b"<!DOCTYPE", "a web page"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"MThd", "MIDI notes"),
    (b"SQLite format 3\0", "a database"),
    (b"WEBVTT", "subtitles"),
    (b"{\\rtf", "a text document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document"),
];

/// Which picture it is.
pub(crate) fn picture(head: &[u8]) -> Option<&'static str> {
    named(PICTURES, head).or_else(|| match (head.get(..4)?, head.get(4..8)?, head.get(8..12)?) {
        (b"RIFF", _, b"WEBP") => Some("a WebP picture"),
        (_, b"ftyp", b"avif" | b"avis") => Some("an AVIF picture"),
        (_, b"ftyp", b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1") => {
            Some("a HEIC picture")
        }
        (_, b"ftyp", b"crx ") => Some("a Canon raw picture"),
        _ => None,
    })
}

const VIDEOS: &Table = &[
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media file"),
    (b"FLV\x01", "a Flash video"),
    (b"\x00\x00\x01\xba", "an MPEG video"),
    (b"\x00\x00\x01\xb3", "an MPEG video"),
];

/// Bytes of the beginning of a file that [`video`] may look at.
pub(crate) const VIDEO_HEAD: u64 = 512;

/// Which video it is.
pub(crate) fn video(head: &[u8]) -> Option<&'static str> {
    if picture(head).is_some() {
        return None;
    }
    named(VIDEOS, head).or_else(|| match (head.get(..4)?, head.get(4..8)?, head.get(8..12)?) {
        (b"RIFF", _, b"AVI ") => Some("an AVI video"),
        (_, b"ftyp", b"M4A " | b"M4B " | b"M4P ") => None,
        (_, b"ftyp", _) => Some("an MP4 or QuickTime video"),
        (size, b"moov" | b"mdat" | b"wide", _) if size[0] == 0 => Some("a QuickTime video"),
        // Packets of 188 bytes, in files of cameras with a time of 4 bytes before each.
        _ if head.first() == Some(&0x47) && head.get(188) == Some(&0x47) => Some("an MPEG transport stream"),
        _ if head.get(4) == Some(&0x47) && head.get(196) == Some(&0x47) => Some("an MPEG transport stream"),
        _ => None,
    })
}

/// What it is, where it is neither sound nor picture.
pub(crate) fn other(head: &[u8]) -> Option<&'static str> {
    named(OTHERS, head)
}
