//! Speech to text.

use std::sync::Arc;

use percept_core::{Result, Runtime, Transcribe};
use percept_flow::InputSource;
use percept_hub::Hub;
use percept_media::sound::{self, SoundInfo, SoundSource};
use serde::Serialize;

pub use percept_core::transcribe::{
    DropReason, DroppedSpan, Goal, LiveSegments, Segment, Sound, TranscribeInput, TranscribeOptions,
    Transcript, Word,
};
pub use percept_transcribe::format::{CueLimits, Format};

use crate::load::{Loaded, load as load_model};

/// The task, for [`crate::Envelope::new`] and [`crate::flow::run`].
pub type Task = Transcribe;

/// Extensions of files in folders that are taken for recordings.
const EXTENSIONS: [&str; 27] = [
    "3gp", "aac", "aif", "aifc", "aiff", "caf", "flac", "m4a", "m4b", "m4v", "mka", "mkv", "mov", "mp1",
    "mp2", "mp3", "mp4", "mpga", "oga", "ogg", "ogv", "opus", "wav", "wave", "weba", "webm", "wma",
];

/// Loads a model for speech: a name of the catalogue, `ORG/REPO[@REV]`, a folder, or the default.
pub fn load(hub: &Hub, name: Option<&str>, runtime: &Runtime) -> Result<Loaded<Transcribe>> {
    load_model(hub, percept_transcribe::ARCHS, name, runtime)
}

/// Whether a file that lies in a folder is taken for a recording, by its name.
pub fn is_recording(path: &std::path::Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
}

/// Reads a recording.
pub fn read(
    source: &InputSource,
    options: &Arc<TranscribeOptions>,
    live: Option<LiveSegments>,
) -> Result<(TranscribeInput, SoundInfo)> {
    let source = match source {
        InputSource::Path(path) => SoundSource::Path(path.clone()),
        InputSource::Stdin => SoundSource::Stdin,
    };
    let (sound, info) = sound::read(source)?;
    Ok((TranscribeInput { sound, options: options.clone(), live }, info))
}

/// The `input` of a transcript's envelope.
#[derive(Serialize)]
pub struct InputCard<'a> {
    path: String,
    #[serde(flatten)]
    info: &'a SoundInfo,
}

impl<'a> InputCard<'a> {
    /// Of a recording. A path that is not Unicode is shown with replacement characters.
    pub fn new(source: &InputSource, info: &'a SoundInfo) -> Self {
        Self { path: source.path().to_string_lossy().into_owned(), info }
    }
}
