//! Which format a file has.

use std::io::{BufRead, Seek};

use super::failure::Failure;
use super::table::Table;
use super::{CloudLimits, las, mesh, npy, pcd, ply, text};
use crate::magic;

/// Bytes that tell a format.
pub(super) const HEAD: u64 = 4096;

/// What a decoder reads from.
pub(super) trait Bytes: BufRead + Seek + Send + Sync {}
impl<T: BufRead + Seek + Send + Sync> Bytes for T {}

/// A format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Ply,
    Pcd,
    Las,
    Npy,
    Obj,
    StlBinary,
    StlText,
    Text,
}

/// What a decoder found.
pub(super) struct Found {
    pub(super) table: Table,
    pub(super) format: &'static str,
    pub(super) encoding: String,
}

impl Format {
    /// By the first bytes and, for texts, by the extension in lower case.
    pub(super) fn of(head: &[u8], length: u64, extension: Option<&str>) -> Result<Self, Failure> {
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
        if head.is_empty() {
            return Err(Failure::Empty);
        }
        if line == b"ply" {
            return Ok(Self::Ply);
        }
        if head.starts_with(b"LASF") {
            return Ok(Self::Las);
        }
        if head.starts_with(b"\x93NUMPY") {
            return Ok(Self::Npy);
        }
        if mesh::is_binary_stl(head, length) {
            return Ok(Self::StlBinary);
        }
        if let Some(name) = magic::picture(head).or_else(|| magic::other(head)) {
            return Err(Failure::Other(name));
        }
        if pcd::is_pcd(head) {
            return Ok(Self::Pcd);
        }
        if head.contains(&0) {
            return Err(Failure::Unknown);
        }
        if line.starts_with(b"solid") {
            return Ok(Self::StlText);
        }
        if extension == Some("obj") || mesh::is_obj(head) {
            return Ok(Self::Obj);
        }
        Ok(Self::Text)
    }

    /// All columns of the file.
    pub(super) fn decode(
        self,
        reader: &mut dyn Bytes,
        length: u64,
        limits: CloudLimits,
    ) -> Result<Found, Failure> {
        match self {
            Self::Ply => ply::decode(reader, length, limits),
            Self::Pcd => pcd::decode(reader, length, limits),
            Self::Las => las::decode(reader, limits),
            Self::Npy => npy::decode(reader, length, limits),
            Self::Obj => mesh::decode_obj(reader, limits),
            Self::StlBinary => mesh::decode_binary_stl(reader, limits),
            Self::StlText => mesh::decode_text_stl(reader, limits),
            Self::Text => text::decode(reader, limits),
        }
    }
}
