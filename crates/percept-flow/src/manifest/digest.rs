//! What files hold, in 32 bytes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::record::Content;

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of hex; `None` where it is none.
#[cfg(unix)]
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// SHA-256 of a text, in hex.
pub(super) fn of_text(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Of a file.
pub(super) fn of_file(path: &Path) -> io::Result<Content> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Content { bytes, sha256: hex(&hasher.finalize()) }),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Of a file, or of a folder: of the names and digests of its files, in byte order.
pub(super) fn of_output(path: &Path) -> io::Result<String> {
    if !path.is_dir() {
        return Ok(of_file(path)?.sha256);
    }
    let mut names =
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    let mut hasher = Sha256::new();
    for name in names {
        let content = of_file(&path.join(&name))?;
        hasher.update(name.as_encoded_bytes());
        hasher.update([0]);
        hasher.update(content.sha256);
    }
    Ok(hex(&hasher.finalize()))
}
