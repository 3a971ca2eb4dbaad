//! Point clouds of the common file formats, and writers for what becomes of them.
//!
//! - PLY (ASCII and both binary orders), PCD (ASCII, binary, binary_compressed), LAS and LAZ, numbers as text (XYZ, CSV,
//!   TXT), vertices of OBJ and STL, and npy are read. The content decides; the name only where content cannot.
//! - Coordinates are f64 about a local origin ([`percept_core::cloud::PointCloud`]).
//! - Normals, colours and intensity are found by their usual names; everything else is kept under its own.
//! - Points that have a coordinate that is not finite are dropped and counted ([`CloudInfo::dropped`]).
//! - What a header promises is compared with the file before memory is taken for it.

mod failure;
mod format;
mod las;
mod matrices;
mod mesh;
mod npy;
mod number;
mod pcd;
mod ply;
mod ply_write;
mod table;
mod text;
mod write;

use std::io::{BufReader, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use percept_core::Result;
use percept_core::cloud::PointCloud;
use serde::Serialize;

pub use crate::source::Source as CloudSource;
pub use matrices::{MatrixFormat, Posed, matrices, read_transform, read_transforms};
pub(crate) use number::{Order, decode as number};
pub use write::CloudFormat;

use failure::Failure;
use format::Format;

/// Beyond what a cloud is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloudLimits {
    /// Points of a file.
    pub max_points: u64,
}

impl Default for CloudLimits {
    /// 100 million points.
    fn default() -> Self {
        Self { max_points: 100_000_000 }
    }
}

impl CloudLimits {
    /// Refuses a promise that is too large, or that a file of `room` points cannot keep; to be asked before memory is
    /// taken.
    fn check(self, promised: u64, room: u64) -> Result<(), Failure> {
        if promised > room {
            return Err(Failure::Short { promised, room });
        }
        if promised > self.max_points {
            return Err(Failure::TooMany { points: promised, limit: self.max_points });
        }
        Ok(())
    }
}

/// What is known about a cloud besides its points.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CloudInfo {
    /// `ply`, `pcd`, `las`, `laz`, `text`, `obj`, `stl` or `npy`.
    pub format: &'static str,
    /// How the numbers are stored: `ascii`, `binary_little_endian`, `binary_compressed`, ...
    pub encoding: String,
    /// Points in the file.
    pub points: usize,
    /// Of these, how many were dropped because a coordinate was not finite.
    pub dropped: usize,
    /// What the file has for each point besides coordinates: `normals`, `colors`, `intensity`, and other columns by name.
    pub has: Vec<String>,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// What was not as it should be, although there is a cloud.
    pub warnings: Vec<String>,
}

/// Reads a cloud.
///
/// # Errors
/// [`Error::Input`](percept_core::Error::Input): it cannot be opened, is no cloud, is damaged, promises more points than
/// it has, has more than `limits` allow, or has no point with finite coordinates.
pub fn read(source: CloudSource, limits: CloudLimits) -> Result<(PointCloud, CloudInfo)> {
    let name = source.name().to_path_buf();
    read_opened(source, limits).map_err(|failure| failure.into_error(name))
}

fn read_opened(source: CloudSource, limits: CloudLimits) -> Result<(PointCloud, CloudInfo), Failure> {
    let extension =
        source.name().extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    let mut input = source.open()?;
    let length = input.length();
    let format = Format::of(&input.head(format::HEAD)?, length, extension.as_deref())?;
    let mut reader = BufReader::with_capacity(1 << 18, &mut input);
    // Decoders promise not to panic; a damaged file is no reason to take their word for it.
    let found = catch_unwind(AssertUnwindSafe(|| format.decode(&mut reader, length, limits)))
        .unwrap_or_else(|_| Err(Failure::Broken("its data confuses the decoder".to_owned())))?;
    drop(reader);
    input.rewind()?;
    let sha256 = input.sha256()?;
    drop(input);
    let table::Assembled { cloud, points, dropped, has, warnings } = found.table.assemble()?;
    let info = CloudInfo {
        format: found.format,
        encoding: found.encoding,
        points,
        dropped,
        has,
        bytes: length,
        sha256,
        warnings,
    };
    Ok((cloud, info))
}
