//! The standard Hugging Face cache, as `huggingface_hub` lays it out:
//!
//! ```text
//! models--openai--whisper-tiny/
//!   blobs/<etag>                     the bytes; the name of a large file is its SHA-256
//!   blobs/<etag>.incomplete          what has arrived so far
//!   refs/main                        a commit
//!   snapshots/<commit>/config.json   a link to ../../blobs/<etag>
//! .locks/models--openai--whisper-tiny/<etag>.lock
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::reference::is_commit;

/// The tag of <https://bford.info/cachedir/>, which tells backup programs to skip a folder.
const CACHE_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# This file is a cache directory tag created by percept, in the cache of the Hugging Face tools.\n";

/// One repository in the cache.
#[derive(Clone, Debug)]
pub(crate) struct CachedRepository {
    cache: PathBuf,
    folder: String,
}

impl CachedRepository {
    pub(crate) fn new(cache: &Path, repository: &str) -> Self {
        Self { cache: cache.to_owned(), folder: format!("models--{}", repository.replace('/', "--")) }
    }

    fn root(&self) -> PathBuf {
        self.cache.join(&self.folder)
    }

    /// Where the bytes of an ETag lie.
    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.root().join("blobs").join(etag)
    }

    /// Where the bytes of an ETag arrive.
    pub(crate) fn incomplete(&self, etag: &str) -> PathBuf {
        self.root().join("blobs").join(format!("{etag}.incomplete"))
    }

    /// The lock that `huggingface_hub` takes too while it writes a blob.
    pub(crate) fn lock(&self, etag: &str) -> PathBuf {
        self.cache.join(".locks").join(&self.folder).join(format!("{etag}.lock"))
    }

    /// The folder of a commit.
    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root().join("snapshots").join(commit)
    }

    /// The commit that a revision named when it was last asked for.
    pub(crate) fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let commit = fs::read_to_string(self.root().join("refs").join(revision)).ok()?;
        let commit = commit.trim();
        is_commit(commit).then(|| commit.to_owned())
    }

    /// Notes which commit a branch or tag names.
    pub(crate) fn write_ref(&self, revision: &str, commit: &str) -> io::Result<()> {
        if is_commit(revision) || self.commit_of(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        // Without a line end: huggingface_hub reads the file as it is.
        disk::write_atomically(&self.root().join("refs").join(revision), commit.as_bytes())
    }

    /// Makes the folders that a download needs.
    pub(crate) fn prepare(&self, commit: &str) -> io::Result<()> {
        fs::create_dir_all(self.root().join("blobs"))?;
        fs::create_dir_all(self.snapshot(commit))?;
        let tag = self.cache.join("CACHEDIR.TAG");
        if !tag.exists() {
            // Only a courtesy to backup programs.
            let _ = fs::write(tag, CACHE_TAG);
        }
        Ok(())
    }

    /// Lets `snapshots/<commit>/<file>` lead to a blob.
    pub(crate) fn link(&self, commit: &str, file: &str, etag: &str) -> io::Result<PathBuf> {
        let pointer = self.snapshot(commit).join(file);
        let relative = Path::new("..").join("..").join("blobs").join(etag);
        if fs::read_link(&pointer).is_ok_and(|target| target == relative) {
            return Ok(pointer);
        }
        let fresh = self.snapshot(commit).join(format!(".{file}.{}.link", std::process::id()));
        let _ = fs::remove_file(&fresh);
        // Windows grants symbolic links to few; some network disks know neither kind.
        symlink(&relative, &fresh)
            .or_else(|_| fs::hard_link(self.blob(etag), &fresh))
            .or_else(|_| fs::copy(self.blob(etag), &fresh).map(drop))?;
        fs::rename(&fresh, &pointer)?;
        Ok(pointer)
    }

    /// Removes a commit: its snapshot, the blobs that no other snapshot leads to, the revisions that
    /// name it, and the repository's folder once it is empty. Other commits stay.
    pub(crate) fn remove(&self, commit: &str) -> io::Result<Vec<PathBuf>> {
        let snapshot = self.snapshot(commit);
        let mut candidates = BTreeSet::new();
        collect_blobs(&snapshot, &mut candidates);
        let mut removed = vec![snapshot.clone()];
        fs::remove_dir_all(&snapshot)?;
        let mut used = BTreeSet::new();
        collect_blobs(&self.root().join("snapshots"), &mut used);
        for blob in candidates.difference(&used) {
            let path = self.blob(blob);
            if path.symlink_metadata().is_ok() {
                fs::remove_file(&path)?;
                removed.push(path);
            }
        }
        self.remove_refs(&self.root().join("refs"), commit);
        let left =
            fs::read_dir(self.root().join("snapshots")).is_ok_and(|mut entries| entries.next().is_some());
        if !left {
            fs::remove_dir_all(self.root())?;
            let _ = fs::remove_dir_all(self.cache.join(".locks").join(&self.folder));
        }
        Ok(removed)
    }

    fn remove_refs(&self, folder: &Path, commit: &str) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                self.remove_refs(&path, commit);
            } else if fs::read_to_string(&path).is_ok_and(|text| text.trim() == commit) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// The names of the blobs that the links below a folder lead to.
fn collect_blobs(folder: &Path, blobs: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if let Ok(target) = fs::read_link(&path) {
            blobs.extend(target.file_name().map(|name| name.to_string_lossy().into_owned()));
        } else if path.is_dir() {
            collect_blobs(&path, blobs);
        }
    }
}

/// What the name of the blob behind a snapshot's file promises of its content.
pub(crate) fn promise_of(pointer: &Path) -> crate::digest::Promise {
    let name = fs::read_link(pointer)
        .ok()
        .and_then(|target| Some(target.file_name()?.to_string_lossy().into_owned()));
    name.map_or(crate::digest::Promise::Nothing, |name| crate::digest::Promise::of_etag(&name))
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}
