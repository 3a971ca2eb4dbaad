//! Speech to text.

use std::sync::Arc;

use percept_core::{Result, Runtime, Transcribe};
use percept_flow::{InputSource, Manifest, Partial};
use percept_hub::Hub;
use percept_media::sound::{self, SoundInfo, SoundSource};

pub use percept_core::transcribe::{
    DropReason, DroppedSpan, Goal, LiveSegments, Segment, Sound, Step, Steps, TranscribeInput,
    TranscribeOptions, Transcript, Word,
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

/// Reads a recording. With a manifest, its decoding goes on where a killed run left it.
pub fn read(
    source: &InputSource,
    options: &Arc<TranscribeOptions>,
    live: Option<LiveSegments>,
    manifest: Option<&Manifest>,
) -> Result<(TranscribeInput, SoundInfo)> {
    let (sound, info) = sound::read(match source {
        InputSource::Path(path) => SoundSource::Path(path.clone()),
        InputSource::Stdin => SoundSource::Stdin,
    })?;
    let partial = manifest.and_then(|manifest| manifest.partial(source, &info.sha256));
    let steps = partial.map(|partial| Arc::new(PartialSteps(partial)) as Arc<dyn Steps>);
    Ok((TranscribeInput { live, steps, ..TranscribeInput::new(sound, options.clone()) }, info))
}

/// Steps as lines of a file beside the manifest.
struct PartialSteps(Partial);

impl Steps for PartialSteps {
    fn known(&self) -> Vec<Step> {
        self.0.known()
    }

    fn keep(&self, step: &Step) {
        self.0.keep(step);
    }
}
