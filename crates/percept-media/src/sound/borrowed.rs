//! Opened bytes as symphonia takes them.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

use crate::source::Input;

/// A borrowed [`Input`], as symphonia takes it.
pub(crate) struct Borrowed<'a> {
    pub(crate) input: &'a mut Input,
    /// Whether the decoder may jump about in it.
    pub(crate) seekable: bool,
}

impl Read for Borrowed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Seek for Borrowed<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.input.seek(to)
    }
}

impl MediaSource for Borrowed<'_> {
    fn is_seekable(&self) -> bool {
        self.seekable
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.input.length())
    }
}
