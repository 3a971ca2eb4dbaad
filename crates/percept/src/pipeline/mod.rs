//! Pipelines in a file: stages that take what others made, checked before any model is loaded.
//!
//! ```toml
//! [[stage]]
//! name = "shapes"
//! task = "segment"
//! where = "score > 0.5 and area > 1000"
//!
//! [[stage]]
//! name = "cut"
//! op = "cutout"
//! from = "shapes"
//! ```
//!
//! A stage makes any number of elements of one [`Kind`] of each element that it takes (a cut-out for each mask); every
//! element knows what it was made of. `docs/pipelines.md` has all entries.
//!
//! `document` is the file with its lines and variables, `stage` the check, `expression` the conditions, `execute` the
//! model of models that the driver sees, `ask` what it asks them, `operate` the operations without a model, `record` and `files` what comes out.

mod ask;
mod document;
mod execute;
mod expression;
mod files;
mod kind;
mod models;
mod operate;
mod record;
mod stage;

use std::path::Path;
use std::sync::Arc;

use percept_core::{LocalModel, Model, Precision, Result, Runtime, SourceKind};
use percept_flow::InputSource;
use percept_hub::Hub;
use percept_media::picture::{self, PictureInfo, PictureLimits, PictureSource};
use percept_media::sound::{self, SoundInfo, SoundSource};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use toml::de::DeValue;

pub use execute::{PipelineInput, PipelineOutput, Run, StageOutput};
pub use kind::{Content, Element, Kind};
pub use record::PipelineRecord;

use crate::{Loaded, ModelCard, transcribe};
use document::{Document, Fields, suggestion};
use execute::{Models, Ready};
use models::Asked;
use stage::{Scope, Source, Work};

/// A checked pipeline.
pub struct Pipeline {
    name: String,
    /// The file and the variables: what its results depend on, besides models.
    text: String,
    scope: Arc<Scope>,
}

/// What a stage was made by.
#[derive(Debug, Serialize)]
pub struct StageCard {
    stage: String,
    /// What really ran.
    precision: Precision,
    #[serde(flatten)]
    model: ModelCard,
}

/// What was read of an input.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum MediaInfo {
    /// Of a picture.
    Picture(PictureInfo),
    /// Of a sound.
    Sound(SoundInfo),
}

impl Pipeline {
    /// Reads and checks a pipeline file. `set` gives variables as `NAME=VALUE`.
    ///
    /// # Errors
    /// `Error::Argument` with the file, the line and where possible a suggestion; `Error::Input`: the file cannot be
    /// read.
    pub fn read(path: &Path, set: &[String]) -> Result<Self> {
        let mut document = Document::read(path)?;
        document.set_variables(set)?;
        let tables = document.parse()?;
        let known = ["set", "stage"];
        if let Some(key) = tables.get_ref().keys().find(|key| !known.contains(&key.get_ref().as_ref())) {
            let message = format!("there is no `{}` in a pipeline", key.get_ref());
            let hint = suggestion(key.get_ref(), known.into_iter())
                .or(Some("a pipeline has stages: [[stage]]".into()));
            return Err(document.wrong(key.span(), message, hint));
        }
        let none = || {
            let hint = Some("write at least one [[stage]]".to_owned());
            document.wrong(0..0, "there are no stages".into(), hint)
        };
        let stages = tables.get_ref().get("stage").ok_or_else(none)?;
        let mut scope = Scope::default();
        for entry in stages.get_ref().as_array().filter(|stages| !stages.is_empty()).ok_or_else(none)?.iter()
        {
            let DeValue::Table(table) = entry.get_ref() else { return Err(none()) };
            scope.add(Fields::new(&document, table, entry.span()))?;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = format!("{}\n{}", document.text(), set.join("\n"));
        Ok(Self { name, text, scope: Arc::new(scope) })
    }

    /// What it takes: pictures or sounds.
    pub fn input(&self) -> Kind {
        self.scope.input.unwrap_or(Kind::Pictures)
    }

    /// Whether a file that lies in a folder is an input, by its name.
    pub fn accepts(&self, path: &Path) -> bool {
        match self.input() {
            Kind::Sounds => transcribe::is_recording(path),
            _ => crate::picture::is_picture(path),
        }
    }

    /// Whether an input gives files besides its JSON.
    pub fn writes_files(&self) -> bool {
        (0..self.scope.stages.len())
            .any(|index| self.keeps(index) && !self.scope.stages[index].files.is_empty())
    }

    /// All that results depend on, besides models.
    pub fn parameters(&self) -> &str {
        &self.text
    }

    /// A line a stage: its name, what it takes and what it makes.
    pub fn outline(&self) -> String {
        let line = |stage: &stage::Stage| {
            let from = match stage.source {
                Source::Input => self.input().name().to_owned(),
                Source::Stage(from) => {
                    format!("{} of {}", self.scope.stages[from].kind.name(), self.scope.stages[from].name)
                }
            };
            format!("{}: {from} -> {}\n", stage.name, stage.kind.name())
        };
        self.scope.stages.iter().map(line).collect()
    }

    /// Whether results tell of a stage: where its entry does not say so, if no other stage takes it.
    fn keeps(&self, index: usize) -> bool {
        let takes = |stage: &stage::Stage| {
            let more = match &stage.work {
                Work::Blur { regions, .. } | Work::Draw { regions } => *regions == index,
                Work::Filter { with } => with.contains(&index),
                _ => false,
            };
            more || stage.source == Source::Stage(index)
        };
        self.scope.stages[index].keep.unwrap_or_else(|| !self.scope.stages.iter().any(takes))
    }

    /// Loads its models, each once.
    ///
    /// # Errors
    /// What loading a model may say.
    pub fn load(&self, hub: &Hub, runtime: &Runtime) -> Result<(Loaded<Run>, Vec<StageCard>)> {
        let mut models = Models::default();
        let mut wanted: Vec<(Asked<'_>, usize)> = Vec::new();
        let mut cards = Vec::new();
        for stage in &self.scope.stages {
            let Some(asked) = Asked::by(&stage.work) else {
                models.of_stage.push(None);
                continue;
            };
            let known = wanted.iter().find(|(other, _)| *other == asked).map(|(_, place)| *place);
            let place = match known {
                Some(place) => place,
                None => asked.load(hub, runtime, &mut models)?,
            };
            Asked::check(&stage.work, &models, place)?;
            let (model, precision) = asked.card(&models, place);
            if known.is_none() {
                wanted.push((asked, place));
            }
            models.of_stage.push(Some(place));
            cards.push(StageCard { stage: stage.name.clone(), precision, model });
        }
        let local = self.local(&models);
        let model: Box<dyn Model<Run>> = Box::new(Ready { scope: self.scope.clone(), models });
        Ok((Loaded { model, local, architecture: "pipeline" }, cards))
    }

    /// The pipeline as if it were one model: its digest is that of the digests of all weights.
    fn local(&self, models: &Models) -> LocalModel {
        let segment = models.segment.iter().map(|loaded| &loaded.local);
        let detect = models.detect.iter().map(|loaded| &loaded.local);
        let pose = models.pose.iter().map(|loaded| &loaded.local);
        let transcribe = models.transcribe.iter().map(|loaded| &loaded.local);
        let all = segment.chain(detect).chain(pose).chain(transcribe);
        let weights = all.map(|local| local.sha256.as_str()).collect::<Vec<_>>().join("\n");
        let sha256 = Sha256::digest(weights).iter().map(|byte| format!("{byte:02x}")).collect();
        LocalModel {
            id: self.name.clone(),
            kind: SourceKind::BuiltIn,
            source: format!("pipeline:{}", self.name),
            revision: None,
            license: None,
            identifiers: vec![],
            files: Default::default(),
            sha256,
        }
    }

    /// Reads an input.
    ///
    /// # Errors
    /// `Error::Input`: it is no picture, or no sound.
    pub fn open(&self, source: &InputSource, limits: PictureLimits) -> Result<(PipelineInput, MediaInfo)> {
        Ok(match (self.input(), source) {
            (Kind::Sounds, InputSource::Path(path)) => sounds(sound::read(SoundSource::Path(path.clone()))?),
            (Kind::Sounds, InputSource::Stdin) => sounds(sound::read(SoundSource::Stdin)?),
            (_, InputSource::Path(path)) => {
                pictures(picture::read(PictureSource::Path(path.clone()), limits)?)
            }
            (_, InputSource::Stdin) => pictures(picture::read(PictureSource::Stdin, limits)?),
        })
    }
}

fn sounds((sound, info): (percept_core::transcribe::Sound, SoundInfo)) -> (PipelineInput, MediaInfo) {
    (PipelineInput::Sound(Arc::new(sound)), MediaInfo::Sound(info))
}

fn pictures((image, info): (percept_core::segment::Image, PictureInfo)) -> (PipelineInput, MediaInfo) {
    (PipelineInput::Picture(Arc::new(image)), MediaInfo::Picture(info))
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("name", &self.name).finish_non_exhaustive()
    }
}
