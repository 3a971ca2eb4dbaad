//! Digests: SHA-256 of files, and git's own of a blob, which is how the Hub names small files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::registry::is_sha256;

/// What the Hub promises about the content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// SHA-256 of the content: a large file.
    Sha256(String),
    /// SHA-1 of `blob <length>\0` and the content: a small file, kept in git.
    GitBlob(String),
    /// Something that says nothing of the content, as some mirrors send.
    Nothing,
}

impl Promise {
    /// What an ETag, without its quotes, promises.
    pub(crate) fn of_etag(etag: &str) -> Self {
        let hex = etag.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if is_sha256(etag) {
            Self::Sha256(etag.to_owned())
        } else if hex && etag.len() == 40 {
            Self::GitBlob(etag.to_owned())
        } else {
            Self::Nothing
        }
    }

    /// Whether a file keeps it: `Err((want, got))` where it does not. `sha256` is the file's.
    pub(crate) fn check(&self, path: &Path, sha256: &str) -> io::Result<Result<(), (String, String)>> {
        let (want, got) = match self {
            Self::Nothing => return Ok(Ok(())),
            Self::Sha256(want) => (want, sha256.to_owned()),
            Self::GitBlob(want) => (want, git_blob(path)?),
        };
        Ok(if *want == got { Ok(()) } else { Err((want.clone(), got)) })
    }
}

/// Lower-case hex of a digest.
pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    use std::fmt::Write as _;
    let bytes = bytes.as_ref();
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 of a file, in hex.
pub(crate) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    feed(File::open(path)?, |bytes| hasher.update(bytes))?;
    Ok(hex(hasher.finalize()))
}

/// SHA-256 of a text, in hex.
pub(crate) fn sha256_of_text(text: &str) -> String {
    hex(Sha256::digest(text))
}

/// What `git hash-object` prints.
fn git_blob(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", file.metadata()?.len()));
    feed(file, |bytes| hasher.update(bytes))?;
    Ok(hex(hasher.finalize()))
}

/// Hands a reader's bytes over in pieces.
pub(crate) fn feed(mut reader: impl Read, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_sha256sum_and_git_hash_object() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "hello\n").unwrap();
        // printf 'hello\n' | sha256sum; printf 'hello\n' | git hash-object --stdin
        assert_eq!(
            sha256_of(&path).unwrap(),
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
        );
        assert_eq!(git_blob(&path).unwrap(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }

    #[test]
    fn an_etag_promises_what_its_form_says() {
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        assert_eq!(Promise::of_etag(git), Promise::GitBlob(git.into()));
        assert_eq!(Promise::of_etag(&"a".repeat(64)), Promise::Sha256("a".repeat(64)));
        assert_eq!(Promise::of_etag(&"A".repeat(64)), Promise::Nothing);
        assert_eq!(Promise::of_etag("5f-3"), Promise::Nothing);
    }
}
