//! Why a clip could not be read, in the user's words.

use std::path::Path;

use percept_core::Error;

use crate::source::OpenError;

/// What went wrong. `Display` finishes the sentence "cannot read `FILE`: …".
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("its name is not Unicode, and FFmpeg wants names to be")]
    Name,
    #[error("it has no video track")]
    NoTrack,
    #[error("none of its frames can be decoded")]
    NoFrame,
    #[error("its video is compressed with {0}, which the system's FFmpeg cannot decode")]
    Codec(String),
    #[error("it says it is {width} x {height}; the limit is {limit} megapixels")]
    TooLarge { width: u32, height: u32, limit: u64 },
    #[error("it is damaged: {0}")]
    Broken(String),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Open(OpenError::Io(error))
    }
}

impl From<ffmpeg_next::Error> for Failure {
    fn from(error: ffmpeg_next::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl Failure {
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Open(error) => error.hint()?,
            Self::Name => "rename it, or name it through a link",
            Self::NoTrack => "`percept transcribe` reads sound",
            Self::Codec(_) => "convert it first: `ffmpeg -i FILE clip.mp4`",
            Self::NoFrame | Self::Broken(_) => {
                "fetch it again, or see whether `ffmpeg -i FILE clip.mp4` can save it"
            }
            Self::TooLarge { .. } => "if that is true, raise the limit with `--max-pixels`",
        })
    }

    /// The error that leaves the crate.
    pub(super) fn into_error(self, path: &Path) -> Error {
        let hint = self.hint().map(str::to_owned);
        Error::Input { path: path.to_owned(), cause: Box::new(self), hint }
    }
}
