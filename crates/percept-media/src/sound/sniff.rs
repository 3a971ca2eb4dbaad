//! What a file is by its first bytes, where symphonia does not know it: for errors that name things.
//!
//! symphonia looks for its markers anywhere in the first megabyte, so a picture that happens to hold
//! an MPEG frame header would be decoded as noise. What is surely something else is refused first.

use super::failure::Failure;
use crate::magic;

/// Bytes that the tables below look at.
pub(super) const HEAD: u64 = 64;

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
    if head.is_empty() {
        return Err(Failure::Empty);
    }
    if let Some(name) = magic::picture(head).or_else(|| magic::other(head)) {
        return Err(Failure::Other(name));
    }
    if let Some(name) = magic::named(FOREIGN, head) {
        return Err(Failure::Codec(name.to_owned()));
    }
    match (head.get(..4), head.get(8..12)) {
        (Some(b"RIFF"), Some(b"AVI ")) => Err(Failure::Codec("in an AVI video".to_owned())),
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
