//! Speech to text: the Whisper family, from any published checkpoint, with voice activity detection,
//! long recordings, word times and subtitle formats.
//!
//! [`ARCHS`] lists the architectures; `whisper` is one file a concern: `network` is the model as in
//! the paper, `window` decodes thirty seconds, `recording` leads the window over a recording.
#![forbid(unsafe_code)]

pub mod format;
mod repetition;
mod voice;
mod whisper;

use percept_core::{Arch, Transcribe};

pub use voice::{Span, speech};

/// The architectures of this task.
pub const ARCHS: &[Arch<Transcribe>] = &[Arch {
    name: "whisper",
    identifiers: &["WhisperForConditionalGeneration", "whisper", "WhisperSpec"],
    load: whisper::load,
}];
