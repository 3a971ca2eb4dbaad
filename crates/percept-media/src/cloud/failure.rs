//! Why a cloud could not be read, in the user's words.

use std::io;
use std::path::PathBuf;

use percept_core::Error;

use crate::source::OpenError;

/// What went wrong. `Display` finishes the sentence "cannot read `FILE`: …".
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the file is empty")]
    Empty,
    #[error("it is {0}, not a point cloud")]
    Other(&'static str),
    #[error("it is no point cloud of a known kind")]
    Unknown,
    #[error("it uses what is not supported: {0}")]
    Unsupported(String),
    #[error("it is damaged: {0}")]
    Broken(String),
    #[error("its header promises {promised} points, and the file has room for {room} at most")]
    Short { promised: u64, room: u64 },
    #[error("its header promises {promised} points, and the file ends after {found}")]
    Ends { promised: u64, found: u64 },
    #[error("it has {points} points; the limit is {limit}")]
    TooMany { points: u64, limit: u64 },
    #[error("it has no coordinates: {0}")]
    NoCoordinates(String),
    #[error("it has no points")]
    NoPoints,
    #[error("none of its {0} points has finite coordinates")]
    NotFinite(usize),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Broken("it ends in the middle".into()),
            io::ErrorKind::InvalidData => Self::Broken(error.to_string()),
            _ => Self::Open(OpenError::Io(error)),
        }
    }
}

impl Failure {
    /// What the user can do.
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Open(error) => error.hint()?,
            Self::Empty => "was the download cut off at once?",
            Self::Other(_) | Self::Unknown => {
                "ply, pcd, las, laz, xyz, csv, txt, obj, stl and npy are read, whatever the name says"
            }
            Self::Unsupported(_) => "convert it first, such as with CloudCompare or PDAL, to ply or las",
            Self::Broken(_) | Self::Short { .. } | Self::Ends { .. } => {
                "was it cut off? fetch it again, or write it anew with the program that made it"
            }
            Self::TooMany { .. } => "if that is true, raise the limit with `--max-points`",
            Self::NoCoordinates(_) => "there should be three columns called x, y and z",
            Self::NoPoints | Self::NotFinite(_) => "look at it in the program that made it",
        };
        Some(hint.to_owned())
    }

    /// The error that leaves the crate.
    pub(super) fn into_error(self, path: PathBuf) -> Error {
        let hint = self.hint();
        Error::Input { path, cause: Box::new(self), hint }
    }
}
