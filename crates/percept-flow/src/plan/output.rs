//! Where an output goes, and how it gets there.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use percept_core::{Error, Result, write};

use super::FormatKind;

/// Where an output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputTarget {
    /// Our stdout.
    Stdout,
    /// A file, to be written under another name and renamed. Its folder may not exist yet.
    File(PathBuf),
    /// A folder of files, to be written under another name and renamed.
    Folder(PathBuf),
    /// An existing pipe or device such as `/dev/null`: written as it is, never replaced.
    Stream(PathBuf),
}

impl OutputTarget {
    /// What a path stands for: what exists and is no regular file is a stream.
    pub(super) fn at(path: PathBuf, kind: FormatKind) -> Self {
        if kind == FormatKind::Folder {
            return Self::Folder(path);
        }
        let special = fs::metadata(&path).is_ok_and(|data| !data.is_file() && !data.is_dir());
        if special { Self::Stream(path) } else { Self::File(path) }
    }

    /// The path; `None` for stdout.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdout => None,
            Self::File(path) | Self::Folder(path) | Self::Stream(path) => Some(path),
        }
    }

    /// Writes `bytes`; see [`OutputTarget::write_with`].
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        self.write_with(|writer| writer.write_all(bytes))
    }

    /// Writes what `fill` writes: to a file all of it or nothing, with the folders that it needs; to
    /// stdout at once, flushed.
    ///
    /// # Errors
    ///
    /// `Error::Output`. For stdout its path is `-`; a broken pipe is for [`crate::run`] to understand.
    pub fn write_with(&self, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        let Some(path) = self.path() else {
            let mut stdout = io::BufWriter::new(io::stdout().lock());
            return fill(&mut stdout).and_then(|()| stdout.flush()).map_err(|error| Error::Output {
                path: "-".into(),
                cause: error.into(),
                hint: None,
            });
        };
        write::atomic_with(path, |writer| fill(writer))
    }

    /// Writes files of these names into the folder that this is: all of them or none. What the folder held
    /// before is gone.
    ///
    /// # Errors
    /// `Error::Output`.
    pub fn write_folder(&self, files: &[(String, Vec<u8>)]) -> Result<()> {
        match self {
            Self::Folder(path) => write::folder(path, files),
            _ => Err(Error::argument("several files need a folder")),
        }
    }
}
