//! Where a recording or a picture comes from, as bytes that can be sought in, hashed as they pass.

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

/// A stream stays in memory up to this size and goes to a temporary file beyond it.
const SPILL: usize = 8 << 20;

/// A pipe that brings more than this is taken for endless (`/dev/zero`).
const STREAM_LIMIT: u64 = 64 << 30;

/// Where a recording or a picture comes from.
pub enum Source {
    /// A file. What is no regular file (a named pipe, `/dev/stdin`) is read as a stream.
    Path(PathBuf),
    /// Standard input, to its end.
    Stdin,
    /// A file's bytes in memory.
    Memory {
        /// What errors call it.
        name: PathBuf,
        /// The whole file.
        bytes: Arc<[u8]>,
    },
    /// Anything that can be read once, to its end.
    Stream {
        /// What errors call it.
        name: PathBuf,
        /// The bytes. Containers need to seek, so they are kept: the first 8 MiB in memory, more in
        /// a temporary file.
        reader: Box<dyn Read + Send>,
    },
}

impl Source {
    /// What a user typed: `-` is standard input, all else a path.
    pub fn from_argument(argument: &Path) -> Self {
        if argument == Path::new("-") { Self::Stdin } else { Self::Path(argument.to_path_buf()) }
    }

    /// What errors call it.
    pub fn name(&self) -> &Path {
        match self {
            Self::Path(path) => path,
            Self::Stdin => Path::new("-"),
            Self::Memory { name, .. } | Self::Stream { name, .. } => name,
        }
    }

    /// Opens it; a stream is read to its end here.
    pub(crate) fn open(self) -> Result<Input, OpenError> {
        let mut regular = None;
        let inner: Box<dyn Seekable> = match self {
            Self::Path(path) => {
                let kind = fs::metadata(&path)?;
                if kind.is_dir() {
                    return Err(OpenError::Folder);
                }
                let file = File::open(&path)?;
                if kind.is_file() {
                    regular = Some(path);
                    Box::new(file)
                } else {
                    Box::new(keep(file)?)
                }
            }
            Self::Stdin => Box::new(keep(io::stdin().lock())?),
            Self::Memory { bytes, .. } => Box::new(Cursor::new(bytes)),
            Self::Stream { reader, .. } => Box::new(keep(reader)?),
        };
        Ok(Input::new(inner, regular)?)
    }
}

/// Why a source could not be opened. `Display` finishes the sentence "cannot read `FILE`: …".
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it is a folder")]
    Folder,
}

impl OpenError {
    /// What the user can do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io(error) => match error.kind() {
                io::ErrorKind::NotFound => Some("check the spelling of the path"),
                io::ErrorKind::PermissionDenied => Some("you may not read this file"),
                _ => None,
            },
            Self::Folder => Some("name the files in it"),
        }
    }
}

fn keep(reader: impl Read) -> io::Result<tempfile::SpooledTempFile> {
    let mut kept = tempfile::spooled_tempfile(SPILL);
    let copied = io::copy(&mut reader.take(STREAM_LIMIT), &mut kept)?;
    if copied == STREAM_LIMIT {
        return Err(io::Error::other("the stream does not end"));
    }
    kept.flush()?;
    kept.rewind()?;
    Ok(kept)
}

pub(crate) trait Seekable: Read + Seek + Send + Sync {}
impl<T: Read + Seek + Send + Sync> Seekable for T {}

/// The opened bytes. Whatever order a decoder reads them in, the digest covers the file from its
/// first byte to its last; only what was skipped is read again for it.
pub(crate) struct Input {
    inner: Box<dyn Seekable>,
    #[cfg_attr(not(feature = "video"), expect(dead_code, reason = "FFmpeg opens files by path"))]
    path: Option<PathBuf>,
    /// Bytes that stand in for those of the file, by position; never for the digest.
    patches: Vec<(u64, Vec<u8>)>,
    position: u64,
    length: u64,
    hash: Sha256,
    hashed: u64,
    reached: Arc<AtomicU64>,
}

impl Input {
    fn new(mut inner: Box<dyn Seekable>, path: Option<PathBuf>) -> io::Result<Self> {
        let length = inner.seek(SeekFrom::End(0))?;
        inner.rewind()?;
        let reached = Arc::new(AtomicU64::new(0));
        Ok(Self {
            inner,
            path,
            patches: Vec::new(),
            position: 0,
            length,
            hash: Sha256::new(),
            hashed: 0,
            reached,
        })
    }

    /// Where the bytes are a regular file.
    #[cfg(feature = "video")]
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// From now on, what is read is what these say.
    pub(crate) fn patch(&mut self, patches: Vec<(u64, Vec<u8>)>) {
        self.patches = patches;
    }

    /// The position of the last read, for guesses about how much is to come.
    pub(crate) fn progress(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.reached)
    }

    /// The first bytes, at most `length` of them; the position is the start again afterwards.
    pub(crate) fn head(&mut self, length: u64) -> io::Result<Vec<u8>> {
        self.rewind()?;
        let mut head = Vec::new();
        Read::take(&mut *self, length).read_to_end(&mut head)?;
        self.rewind()?;
        Ok(head)
    }

    /// The digest of the whole file in hexadecimal; reads what has not been read yet.
    pub(crate) fn sha256(&mut self) -> io::Result<String> {
        self.seek(SeekFrom::Start(self.hashed))?;
        let mut block = vec![0; 1 << 16];
        while self.read(&mut block)? > 0 {}
        let digest = self.hash.clone().finalize();
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let end = self.position + count as u64;
        if self.position <= self.hashed && self.hashed < end {
            self.hash.update(&buffer[(self.hashed - self.position) as usize..count]);
            self.hashed = end;
        }
        for (at, patch) in &self.patches {
            for (at, &byte) in (*at..end).zip(patch) {
                if at >= self.position {
                    buffer[(at - self.position) as usize] = byte;
                }
            }
        }
        self.position = end;
        self.reached.store(end, Ordering::Relaxed);
        Ok(count)
    }
}

impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = self.inner.seek(to)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(bytes: &[u8]) -> Input {
        let source = Source::Memory { name: "m".into(), bytes: bytes.into() };
        source.open().unwrap_or_else(|failure| panic!("{failure}"))
    }

    #[test]
    fn the_digest_is_of_the_whole_file_whatever_was_read() {
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let want: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut block = [0; 1000];
        for seeks in [vec![], vec![500], vec![500, 0], vec![700_000, 100, 799_900, 900, 0]] {
            let mut input = memory(&bytes);
            for to in seeks {
                input.seek(SeekFrom::Start(to)).unwrap();
                input.read_exact(&mut block[..100]).unwrap();
                let _ = input.read(&mut block).unwrap();
            }
            assert_eq!(input.sha256().unwrap(), want);
        }
    }

    #[test]
    fn patches_are_seen_wherever_a_read_ends_but_not_hashed() {
        let mut input = memory(b"0123456789");
        input.patch(vec![(2, b"abc".to_vec()), (9, b"z".to_vec())]);
        for size in 1..=10 {
            input.rewind().unwrap();
            let mut got: Vec<u8> = Vec::new();
            let mut block = vec![0; size];
            loop {
                match input.read(&mut block).unwrap() {
                    0 => break,
                    count => got.extend(&block[..count]),
                }
            }
            assert_eq!(got, b"01abc5678z", "{size} at a time");
        }
        // sha256sum of 0123456789
        assert!(input.sha256().unwrap().starts_with("84d89877f0d4041efb6bf91a16f0248f"));
    }

    #[test]
    fn a_long_stream_is_spilled_and_comes_back() {
        let bytes = vec![7; SPILL + 1000];
        let source = Source::Stream { name: "s".into(), reader: Box::new(Cursor::new(bytes)) };
        let mut input = source.open().unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(input.length(), SPILL as u64 + 1000);
        assert_eq!(input.head(3).unwrap(), [7, 7, 7]);
    }

    #[test]
    fn a_dash_is_standard_input() {
        assert!(matches!(Source::from_argument(Path::new("-")), Source::Stdin));
        assert!(matches!(Source::from_argument(Path::new("./-")), Source::Path(_)));
    }
}
