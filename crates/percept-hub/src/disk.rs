//! Files that are whole or not there, and locks between processes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file so that a reader sees the old content or the new, never a part.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut fresh =
        tempfile::Builder::new().prefix(".percept-").permissions_like_others().tempfile_in(folder)?;
    fresh.write_all(content)?;
    fresh.as_file().sync_all()?;
    fresh.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A temporary file is private; what we leave in a shared cache is as readable as any other file.
trait SharedPermissions {
    fn permissions_like_others(&mut self) -> &mut Self;
}

impl SharedPermissions for tempfile::Builder<'_, '_> {
    #[cfg(unix)]
    fn permissions_like_others(&mut self) -> &mut Self {
        use std::os::unix::fs::PermissionsExt;
        // The umask is applied to it.
        self.permissions(fs::Permissions::from_mode(0o666))
    }

    #[cfg(not(unix))]
    fn permissions_like_others(&mut self) -> &mut Self {
        self
    }
}

/// Bytes that this user may still write below a folder, which need not be there yet.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.is_dir());
    fs2::available_space(there.unwrap_or(Path::new("."))).ok()
}

/// A lock between processes, held until it is dropped.
pub(crate) struct Guard(#[expect(dead_code, reason = "the file is the lock")] File);

/// Takes the lock of this file; `busy` is called once if another process has it.
pub(crate) fn lock(path: &Path, busy: impl FnOnce()) -> io::Result<Guard> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            busy();
            file.lock()?;
        }
        // Some network disks have no locks. Names and digests keep the cache right without one; a
        // lock saves the second download.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    Ok(Guard(file))
}

/// Length, and the time of the last change in nanoseconds.
pub(crate) fn stamp(path: &Path) -> io::Result<(u64, i64)> {
    let facts = fs::metadata(path)?;
    let since = facts.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok((facts.len(), i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)))
}
