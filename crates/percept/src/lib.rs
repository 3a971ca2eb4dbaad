//! percept as a library: load a model by name, give it media, get typed results.
//!
//! ```no_run
//! use percept::transcribe::{TranscribeInput, TranscribeOptions};
//! use percept::{Runtime, hub, media, transcribe};
//!
//! # fn main() -> percept::Result<()> {
//! let hub = hub::Hub::new(hub::HubOptions::from_env());
//! let whisper = transcribe::load(&hub, Some("whisper-tiny.en"), &Runtime::default())?;
//! let (sound, _) = media::sound::read(media::sound::SoundSource::Path("talk.mp3".into()))?;
//! let input = TranscribeInput::new(sound, TranscribeOptions::default().into());
//! for predicted in whisper.model.predict(&[input])? {
//!     println!("{}", predicted.output.text);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The parts stand under their own names: [`hub`] finds and fetches models, [`media`] reads and
//! writes files, [`flow`] drives many items, [`eval`] says how good answers are, and each task has a module.
#![forbid(unsafe_code)]

mod build;
pub mod caption;
pub mod clip;
mod collect;
pub mod depth;
pub mod detect;
mod envelope;
mod load;
mod output;
pub mod picture;
pub mod pipeline;
pub mod pose;
pub mod register;
mod report;
pub mod segment;
pub mod transcribe;

pub use percept_backbone::{InstructionLimit, Machine, Rates};
pub use percept_core::{
    Arch, Device, Error, LocalModel, Model, ModelSpec, Precision, Predicted, Prediction, RawTensor,
    RawValues, Result, Runtime, SourceKind, Task, Timings, write,
};
pub use percept_eval as eval;
pub use percept_flow as flow;
pub use percept_hub as hub;
pub use percept_media as media;

pub use build::Build;
pub use collect::{Collection, collect};
pub use envelope::{Envelope, InputCard, ModelCard, RunCard, TimingsPolicy};
pub use load::{Loaded, use_threads};
pub use output::{Rendered, ResultFormat};
pub use report::report;
