//! Why a sound could not be read, in the user's words.

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
    #[error("it is {0}, not sound")]
    Other(&'static str),
    #[error("it is no sound file of a known kind")]
    Unknown,
    #[error("it has no sound track")]
    NoTrack,
    #[error("its sound is {0}, which the built-in decoders do not know")]
    Codec(String),
    #[error("it has no sound in it: 0 samples")]
    Silent,
    #[error("it is damaged: {0}")]
    Broken(String),
    #[error("the sound does not fit into memory")]
    TooLong,
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Open(OpenError::Io(error))
    }
}

impl Failure {
    /// A dependency said no where it should not.
    pub(super) fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }

    /// Whether another decoder may do better.
    #[cfg(feature = "video")]
    pub(super) fn is_worth_another_try(&self) -> bool {
        matches!(self, Self::Unknown | Self::NoTrack | Self::Codec(_) | Self::Broken(_) | Self::Internal(_))
    }

    /// What the user can do.
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Open(error) => error.hint()?,
            Self::Empty | Self::Silent => "was the recording or the download cut off at once?",
            Self::Other(_) | Self::Unknown => {
                "wav, flac, mp3, ogg, m4a, mp4, mkv, webm, aiff and caf are read, whatever the name says"
            }
            Self::NoTrack => "this video has no sound, or its sound is of an unknown kind",
            Self::Codec(_) if cfg!(feature = "video") => {
                "convert it first: `ffmpeg -i FILE -vn -ac 1 -ar 16000 sound.wav`"
            }
            Self::Codec(_) => {
                "a percept that was built with the cargo feature `video` (FFmpeg) decodes it, or convert it \
                 first: `ffmpeg -i FILE -vn -ac 1 -ar 16000 sound.wav`"
            }
            Self::Broken(_) => {
                "fetch or record it again, or see whether `ffmpeg -i FILE sound.wav` can save it"
            }
            Self::TooLong => "cut it into parts: `ffmpeg -i FILE -f segment -segment_time 3600 part%03d.wav`",
            Self::Internal(_) => "this is a bug in percept; please report it with the file",
        };
        Some(hint.to_owned())
    }

    /// The error that leaves the crate.
    pub(super) fn into_error(self, path: PathBuf) -> Error {
        let hint = self.hint();
        Error::Input { path, cause: Box::new(self), hint }
    }
}
