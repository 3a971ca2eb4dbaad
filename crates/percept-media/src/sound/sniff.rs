//! What a file is by its first bytes, where symphonia does not know it: for errors that name things.
//!
//! symphonia looks for its markers anywhere in the first megabyte, so a picture that happens to hold
//! an MPEG frame header would be decoded as noise. What is surely something else is refused first.

use super::failure::Failure;

/// Bytes that the tables below look at.
pub(super) const HEAD: u64 = 64;

/// Nothing that holds sound.
const OTHERS: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
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
];

/// Sound that symphonia has no reader for.
const FOREIGN: &[(&[u8], &str)] = &[
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (ASF, WMA)"),
    (b"#!AMR", "AMR"),
    (b"wvpk", "WavPack"),
    (b"MAC ", "Monkey's Audio"),
    (b"TTA1", "True Audio"),
    (b"MPCK", "Musepack"),
    (b"MP+", "Musepack"),
    (b"DSD ", "DSD"),
    (b"FRM8", "DSD"),
    (b".snd", "Sun AU"),
    (b"RF64", "RF64 (long WAVE)"),
    (b"BW64", "BW64 (long WAVE)"),
    (b"riff\x2e\x91\xcf\x11", "Wave64"),
    (b"RIFX", "big-endian WAVE"),
    (b"\x0b\x77", "AC-3"),
    (b"\x7f\xfe\x80\x01", "DTS"),
    (b"\x00\x00\x01\xba", "an MPEG program stream"),
    (b"FLV\x01", "Flash video"),
    (b".RMF", "RealMedia"),
];

/// Refuses what no decoder of symphonia will read.
pub(super) fn check(head: &[u8]) -> Result<(), Failure> {
    let named = |table: &[(&[u8], &'static str)]| {
        table.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, name)| *name)
    };
    if head.is_empty() {
        return Err(Failure::Empty);
    }
    if let Some(name) = named(OTHERS) {
        return Err(Failure::Other(name));
    }
    if let Some(name) = named(FOREIGN) {
        return Err(Failure::Codec(name.to_owned()));
    }
    match (head.get(..4), head.get(8..12)) {
        (Some(b"RIFF"), Some(b"WEBP")) => Err(Failure::Other("a WebP picture")),
        (Some(b"RIFF"), Some(b"AVI ")) => Err(Failure::Codec("in an AVI video".to_owned())),
        (_, Some(b"avif" | b"heic" | b"mif1")) => Err(Failure::Other("an AVIF or HEIC picture")),
        // Every packet of a transport stream begins with 0x47; MPEG frames never do.
        (Some([0x47, ..]), _)
            if head.len() as u64 >= HEAD && head[1] & 0x80 == 0 && !head[..4].is_ascii() =>
        {
            Err(Failure::Codec("in an MPEG transport stream".to_owned()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_called_by_their_names() {
        let said = |bytes: &[u8]| check(bytes).err().map(|failure| failure.to_string());
        assert_eq!(said(b""), Some("the file is empty".into()));
        assert_eq!(said(b"\x89PNG\r\n\x1a\nxx"), Some("it is a PNG picture, not sound".into()));
        assert!(said(b"RIFF\x10\0\0\0WEBPVP8 ").is_some_and(|text| text.contains("WebP")));
        assert!(said(b"#!AMR\n").is_some_and(|text| text.contains("AMR")));
        assert_eq!(said(b"RIFF\x10\0\0\0WAVEfmt "), None);
        assert_eq!(said(b"fLaC"), None);
        assert_eq!(said(b"R"), None);
    }
}
