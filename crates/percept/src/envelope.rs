//! The one JSON form of every result: what was read, what made it, how, how long, and what came out.

use std::path::Path;

use percept_core::{Device, Precision, Runtime, SourceKind, Task, Timings};
use serde::Serialize;

use crate::Loaded;

/// The version of the form. It grows when a field changes its meaning, not when one is added.
pub(crate) const SCHEMA: &str = "percept/1";

/// A result with its origin. `docs/schema/` has its JSON Schema.
#[derive(Serialize)]
pub struct Envelope<'a, I, R, M = ModelCard> {
    schema: &'static str,
    task: &'static str,
    input: I,
    model: &'a M,
    runtime: &'a RunCard,
    #[serde(skip_serializing_if = "Option::is_none")]
    timings_ms: Option<TimingsCard>,
    result: R,
}

/// What a result was made of: a path, as it was typed, and what is known of the file there.
#[derive(Serialize)]
pub struct InputCard<'a, I> {
    path: String,
    #[serde(flatten)]
    info: &'a I,
}

impl<'a, I> InputCard<'a, I> {
    /// A path that is not Unicode is shown with replacement characters.
    pub fn new(path: &Path, info: &'a I) -> Self {
        Self { path: path.to_string_lossy().into_owned(), info }
    }
}

/// Whether a result tells how long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimingsPolicy {
    /// It does.
    Tell,
    /// It does not, so that two runs can be compared byte by byte.
    Omit,
}

impl<'a, I, R, M> Envelope<'a, I, R, M> {
    /// Wraps a result of the task `T`, made by `model`: a [`ModelCard`], or those of a pipeline's stages.
    pub fn new<T: Task>(
        input: I,
        model: &'a M,
        runtime: &'a RunCard,
        timings: Option<&Timings>,
        result: R,
    ) -> Self {
        let timings_ms = timings.map(TimingsCard::new);
        Self { schema: SCHEMA, task: T::NAME, input, model, runtime, timings_ms, result }
    }
}

/// What made a result.
#[derive(Clone, Debug, Serialize)]
pub struct ModelCard {
    id: String,
    kind: SourceKind,
    source: String,
    revision: Option<String>,
    /// None for what is a part of this program.
    sha256: Option<String>,
    license: Option<String>,
    architecture: &'static str,
}

impl ModelCard {
    /// Of a loaded model.
    pub fn new<T: Task>(loaded: &Loaded<T>) -> Self {
        let local = &loaded.local;
        Self {
            id: local.id.clone(),
            kind: local.kind,
            source: local.source.clone(),
            revision: local.revision.clone(),
            sha256: Some(&local.sha256).filter(|digest| !digest.is_empty()).cloned(),
            license: local.license.clone(),
            architecture: loaded.architecture,
        }
    }
}

/// How a result was made.
#[derive(Clone, Debug, Serialize)]
pub struct RunCard {
    percept: &'static str,
    device: String,
    isa: &'static str,
    precision: Precision,
    threads: usize,
    seed: u64,
}

impl RunCard {
    /// Of a run: `precision` is what really ran.
    pub fn new(runtime: &Runtime, precision: Precision, seed: u64) -> Self {
        let device = match runtime.device {
            Device::Auto => Device::Cpu,
            named => named,
        };
        Self {
            percept: env!("CARGO_PKG_VERSION"),
            device: device.to_string(),
            isa: percept_backbone::instruction_set(),
            precision,
            threads: runtime.threads,
            seed,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct TimingsCard {
    decode: f64,
    prepare: f64,
    model: f64,
    finish: f64,
}

impl TimingsCard {
    pub(crate) fn new(timings: &Timings) -> Self {
        let round = |ms: f64| (ms * 1e3).round() / 1e3;
        Self {
            decode: round(timings.decode),
            prepare: round(timings.prepare),
            model: round(timings.model),
            finish: round(timings.finish),
        }
    }
}
