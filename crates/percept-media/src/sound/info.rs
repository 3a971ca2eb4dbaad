//! What is known about a recording besides its samples.

use std::fmt;

use serde::Serialize;

/// What a recording was before it became 16 kHz mono.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SoundInfo {
    /// The container: `wave`, `flac`, `mp3`, `ogg`, `isomp4`, `matroska`, ...
    pub container: String,
    /// The codec: `pcm_s16le`, `vorbis`, `aac`, ...
    pub codec: String,
    /// Samples a second of the recording.
    pub sample_rate: u32,
    /// Channels of the recording.
    pub channels: usize,
    /// Length of what was decoded, in seconds.
    pub duration: f64,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// What was not as it should be, although there is sound.
    pub warnings: Vec<SoundWarning>,
}

/// Something that was not as it should be, although there is sound.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SoundWarning {
    /// The file ends before the length that it states.
    Truncated {
        /// Seconds that were decoded.
        decoded: f64,
        /// Seconds that the file states, when it does.
        stated: Option<f64>,
    },
    /// Damaged packets, replaced by silence of their length so that nothing shifts in time.
    Skipped {
        /// How many.
        packets: usize,
    },
    /// The file has further sound tracks, which were not read.
    OtherTracks {
        /// How many.
        tracks: usize,
    },
    /// The built-in decoders refused the file and FFmpeg read it.
    Fallback {
        /// What they said.
        reason: String,
    },
}

impl fmt::Display for SoundWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { decoded, stated: Some(stated) } => {
                write!(formatter, "truncated: decoded {decoded:.2} of {stated:.2} seconds")
            }
            Self::Truncated { decoded, stated: None } => {
                write!(formatter, "truncated: decoded {decoded:.2} seconds")
            }
            Self::Skipped { packets: 1 } => {
                write!(formatter, "1 damaged packet was replaced by silence")
            }
            Self::Skipped { packets } => {
                write!(formatter, "{packets} damaged packets were replaced by silence")
            }
            Self::OtherTracks { tracks } => {
                write!(formatter, "only the first of {} sound tracks was read", tracks + 1)
            }
            Self::Fallback { reason } => write!(formatter, "decoded with FFmpeg: {reason}"),
        }
    }
}
