//! `models.lock`: what was fetched from where, with its digests; which licences were accepted; and
//! which files were read in full, so that a start does not hash them again.
//!
//! When is what checked? At a fetch, and at `verify`, every byte. When a model is loaded, each file's
//! length and time of change are compared with those at which its SHA-256 was last computed; only
//! where they differ, or the file has never been read, is it hashed again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use percept_core::{Error, Result, SourceKind};
use serde::{Deserialize, Serialize};

use crate::digest::sha256_of;
use crate::disk;

/// The content of the lock file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Contents {
    /// Of this format.
    #[serde(default)]
    pub(crate) version: u32,
    /// By the name under which a model is asked for.
    #[serde(default)]
    pub(crate) models: BTreeMap<String, Locked>,
    /// By the same name: the licence that was accepted.
    #[serde(default)]
    pub(crate) accepted: BTreeMap<String, String>,
    /// By path: what a file was when it was last read in full.
    #[serde(default)]
    pub(crate) seen: BTreeMap<String, Seen>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Locked {
    pub(crate) kind: SourceKind,
    /// For people, as in `LocalModel::source`.
    pub(crate) source: String,
    /// The commit, or the version of the package.
    pub(crate) revision: String,
    /// The task that it was fetched for, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) task: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) license: Option<String>,
    pub(crate) files: BTreeMap<String, LockedFile>,
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockedFile {
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

/// What a file was when it was last read in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) size: u64,
    /// Time of the last change [ns since 1970].
    pub(crate) changed: i64,
    pub(crate) sha256: String,
}

/// The lock file on disk.
#[derive(Clone, Debug)]
pub(crate) struct LockFile {
    path: PathBuf,
}

impl LockFile {
    pub(crate) fn new(home: &Path) -> Self {
        Self { path: home.join("models.lock") }
    }

    /// What stands in it; nothing where there is none.
    pub(crate) fn read(&self) -> Result<Contents> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(Contents::default());
            }
            Err(error) => return Err(Error::input(&self.path, error)),
        };
        toml::from_str(&text).map_err(|error| Error::Input {
            path: self.path.clone(),
            cause: Box::new(error),
            hint: Some("remove this file; it is written anew, and files are checked in full once".into()),
        })
    }

    /// Changes it; other processes that do the same wait.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Contents) -> T) -> Result<T> {
        let failed = |cause: io::Error| Error::Output {
            path: self.path.clone(),
            cause: Box::new(cause),
            hint: Some("PERCEPT_HOME chooses another folder".into()),
        };
        let _guard = disk::lock(&self.path.with_extension("lock.guard"), || {}).map_err(failed)?;
        let mut contents = self.read()?;
        let result = change(&mut contents);
        contents.version = 1;
        contents.seen.retain(|path, _| Path::new(path).exists());
        let text = toml::to_string(&contents).map_err(|error| failed(io::Error::other(error)))?;
        disk::write_atomically(&self.path, text.as_bytes()).map_err(failed)?;
        Ok(result)
    }
}

/// Digests of files, computed only where a file changed since it was last read.
pub(crate) struct Digests<'a> {
    seen: &'a BTreeMap<String, Seen>,
    /// What was read now and has to be remembered.
    pub(crate) fresh: BTreeMap<String, Seen>,
}

impl<'a> Digests<'a> {
    pub(crate) fn new(seen: &'a BTreeMap<String, Seen>) -> Self {
        Self { seen, fresh: BTreeMap::new() }
    }

    /// SHA-256 and length. `read` is called with the length before a file is read in full.
    pub(crate) fn of(&mut self, path: &Path, read: impl FnOnce(u64)) -> io::Result<Seen> {
        let key = key_of(path);
        let (size, changed) = disk::stamp(path)?;
        let known = self.seen.get(&key).filter(|seen| seen.size == size && seen.changed == changed);
        if let Some(seen) = known {
            return Ok(seen.clone());
        }
        read(size);
        let seen = Seen { size, changed, sha256: sha256_of(path)? };
        self.fresh.insert(key, seen.clone());
        Ok(seen)
    }
}

/// How a path is written in `seen`.
pub(crate) fn key_of(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_only_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "one").unwrap();
        let read = |seen: &BTreeMap<String, Seen>| {
            let mut reads = 0;
            let mut digests = Digests::new(seen);
            let now = digests.of(&path, |_| reads += 1).unwrap();
            (reads, now.sha256, digests.fresh)
        };
        let (reads, first, seen) = read(&BTreeMap::new());
        assert_eq!(reads, 1);
        assert_eq!(read(&seen).0, 0);
        std::fs::write(&path, "other").unwrap();
        let (reads, second, _) = read(&seen);
        assert_eq!(reads, 1);
        assert_ne!(first, second);
    }

    #[test]
    fn a_damaged_lock_file_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("models.lock"), "[models").unwrap();
        let error = LockFile::new(folder.path()).read().unwrap_err();
        assert!(error.hint().unwrap().contains("remove this file"), "{error:?}");
    }

    #[test]
    fn processes_that_write_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for index in 0..8 {
                let file = LockFile::new(folder.path());
                scope.spawn(move || {
                    file.update(|lock| lock.accepted.insert(format!("m{index}"), "x".into())).unwrap()
                });
            }
        });
        assert_eq!(LockFile::new(folder.path()).read().unwrap().accepted.len(), 8);
    }
}
