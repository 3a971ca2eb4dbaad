//! Why a picture could not be read, in the user's words.

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
    #[error("it is {0}, not a picture")]
    Other(&'static str),
    #[error("it is {0}, not a picture")]
    Video(&'static str),
    #[error("it is {0}, which is not supported")]
    Foreign(&'static str),
    #[error("it is no picture of a known kind")]
    Unknown,
    #[error("it uses what is not supported: {0}")]
    Unsupported(String),
    #[error("it is damaged: {0}")]
    Broken(String),
    #[error("{}", too_large(*width, *height, *bytes_per_pixel, *limit))]
    TooLarge { width: u32, height: u32, bytes_per_pixel: u64, limit: u64 },
    #[error("the file has {bytes} bytes; the limit is {limit}")]
    LargeFile { bytes: u64, limit: u64 },
    #[error("its {0} x {1} pixels do not fit into memory")]
    NoMemory(u32, u32),
}

fn too_large(width: u32, height: u32, bytes_per_pixel: u64, limit: u64) -> String {
    let pixels = u64::from(width) * u64::from(height);
    let megapixels = |pixels: u64| pixels as f64 / 1e6;
    let stated = format!("it says it is {width} x {height}, {:.0} megapixels", megapixels(pixels));
    if pixels > limit {
        format!("{stated}; the limit is {} megapixels", megapixels(limit))
    } else {
        let fitting = limit * 8 / bytes_per_pixel;
        format!(
            "{stated} of {bytes_per_pixel} bytes; the limit is {} megapixels of this depth",
            megapixels(fitting)
        )
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Open(OpenError::Io(error))
    }
}

impl Failure {
    /// What the user can do.
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Open(error) => error.hint()?,
            Self::Empty => "was the download cut off at once?",
            Self::Other(_) | Self::Unknown => {
                "jpeg, png, webp, tiff, bmp, gif, pnm and hdr are read, whatever the name says"
            }
            Self::Video(_) if crate::video::SUPPORTED => {
                "clips go through `percept detect` and `percept pose`, named by themselves"
            }
            Self::Video(_) => {
                "`percept detect` and `percept pose` take clips: build percept with `--features video`"
            }
            Self::Foreign(_) | Self::Unsupported(_) => {
                "convert it first: `magick FILE picture.png` (ImageMagick)"
            }
            Self::Broken(_) => "fetch it again, or see whether `magick FILE picture.png` can save it",
            Self::TooLarge { .. } | Self::LargeFile { .. } => {
                "if that is true, raise the limit with `--max-pixels`"
            }
            Self::NoMemory(..) => "make it smaller first: `magick FILE -resize 50% picture.png`",
        };
        Some(hint.to_owned())
    }

    /// The error that leaves the crate.
    pub(super) fn into_error(self, path: PathBuf) -> Error {
        let hint = self.hint();
        Error::Input { path, cause: Box::new(self), hint }
    }
}
