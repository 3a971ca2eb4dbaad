//! The way of the commands that take pictures: what they share is here, what a task says of its own is [`Asked`].

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;

use percept::flow::{self, ExitCode, Item, Manifest, OutputTarget, Plan};
use percept::hub::Hub;
use percept::media::picture::{PictureInfo, PictureLimits};
use percept::picture;
use percept::segment::Image;
use percept::{
    Envelope, InputCard, Loaded, Predicted, Rendered, Result, ResultFormat, RunCard, Runtime, Task,
    TimingsPolicy,
};
use serde::Serialize;

use super::road::{Road, Work};
use super::{setup, worker};
use crate::args::{Files, OnPictures};
use crate::report::{self, BatchReport, Paths};

/// What is asked of pictures, as one task says it. Its `Debug` is all that outputs depend on besides inputs, model and
/// program.
pub(super) trait Asked: Debug + Sync {
    /// The task.
    type Task: Task;
    /// What its results are written as.
    type Format: ResultFormat;
    /// What made a result, for its JSON.
    type Card: Debug + Serialize + Sync;

    /// What is to be written, in order.
    fn formats(&self) -> &[Self::Format];

    /// How files of a format are called, and what they are.
    fn file(&self, format: Self::Format) -> flow::Format {
        format.file()
    }

    /// Refuses what cannot be asked of these items.
    fn check(&self, _: &Plan) -> Result<()> {
        Ok(())
    }

    /// Loads a model by name, or what suits when there is none.
    fn load(
        &self,
        hub: &Hub,
        name: Option<&str>,
        runtime: &Runtime,
    ) -> Result<(Loaded<Self::Task>, Self::Card)>;

    /// What made a result besides the model that a manifest names.
    fn besides(_: &Self::Card) -> Option<&dyn Debug> {
        None
    }

    /// The seed, where something is drawn at random.
    fn seed(&self) -> u64 {
        0
    }

    /// What the model gets to see.
    fn input(&self, item: &Item, picture: &Picture) -> Result<<Self::Task as Task>::Input>;

    /// The `result` of the JSON.
    fn record(&self, name: &str, picture: &Picture, output: &<Self::Task as Task>::Output) -> impl Serialize;

    /// The bytes of another format, for a picture whose file is called `name`.
    fn render(
        &self,
        format: Self::Format,
        name: &str,
        picture: &Picture,
        output: &<Self::Task as Task>::Output,
    ) -> Result<Rendered>;
}

/// What the writer wants to know of a picture.
pub(super) struct Picture {
    pub(super) image: Arc<Image>,
    pub(super) info: PictureInfo,
}

/// Takes the pictures that were named through a task.
pub(super) fn run<A: Asked>(on: &OnPictures, asked: &A) -> Result<ExitCode> {
    let files = asked.formats().iter().map(|format| asked.file(*format)).collect();
    let plan = setup::plan(&on.files, files, &picture::is_picture, &[A::Task::NAME])?;
    asked.check(&plan)?;
    if on.files.dry_run {
        return report::plan(&plan);
    }
    let report = BatchReport::new(&on.running.progress, &plan, Paths::Printed);
    prepared(on, asked, &report, |road, work| road.run(&plan, &(asked, A::besides(&work.card)), work))
}

/// Answers requests with pictures.
pub(super) fn serve<A: Asked>(on: &OnPictures, asked: &A) -> Result<ExitCode> {
    worker::check(&on.files)?;
    let report = BatchReport::new(&on.running.progress, &Plan::default(), Paths::Silent);
    prepared(on, asked, &report, |road, work| road.serve(work))
}

fn prepared<A: Asked>(
    on: &OnPictures,
    asked: &A,
    report: &BatchReport,
    go: impl FnOnce(&Road<'_, A::Task>, &Pictures<'_, A>) -> Result<ExitCode>,
) -> Result<ExitCode> {
    let (runtime, hub) = setup::begin(&on.running)?;
    let (loaded, card) = asked.load(&hub, on.model.as_deref(), &runtime)?;
    // Never dropped: the process ends with the command, and the system takes memory back faster than it is given back
    // piece by piece.
    let loaded = ManuallyDrop::new(loaded);
    let work = Pictures {
        asked,
        card,
        limits: on.size.limits(),
        run: RunCard::new(&runtime, loaded.model.precision(), asked.seed()),
        timings: setup::timings(&on.files),
        report,
    };
    go(&Road { files: &on.files, loaded: &loaded, runtime: &runtime, report }, &work)
}

struct Pictures<'a, A: Asked> {
    asked: &'a A,
    card: A::Card,
    limits: PictureLimits,
    run: RunCard,
    timings: TimingsPolicy,
    report: &'a BatchReport,
}

impl<A: Asked> Work<A::Task> for Pictures<'_, A> {
    type Meta = Picture;

    fn read(&self, item: &Item, _: Option<&Manifest>) -> Result<(<A::Task as Task>::Input, Picture)> {
        let (image, info) = picture::read(&item.input, self.limits)?;
        let picture = Picture { image, info };
        Ok((self.asked.input(item, &picture)?, picture))
    }

    fn write(
        &self,
        item: &Item,
        picture: &Picture,
        predicted: &Predicted<<A::Task as Task>::Output>,
    ) -> Result<()> {
        self.report.warnings(item, &picture.info.warnings);
        let name = file_name(item);
        for (format, target) in self.asked.formats().iter().zip(&item.outputs) {
            if *format == A::Format::JSON {
                target.write(report::json(&self.card(item, &name, picture, predicted))?.as_bytes())?;
            } else {
                write(target, self.asked.render(*format, &name, picture, &predicted.output)?)?;
            }
        }
        Ok(())
    }

    fn envelope(
        &self,
        item: &Item,
        picture: &Picture,
        predicted: &Predicted<<A::Task as Task>::Output>,
    ) -> Result<String> {
        report::json_line(&self.card(item, &file_name(item), picture, predicted))
    }
}

impl<A: Asked> Pictures<'_, A> {
    fn card(
        &self,
        item: &Item,
        name: &str,
        picture: &Picture,
        predicted: &Predicted<<A::Task as Task>::Output>,
    ) -> impl Serialize {
        let timings = (self.timings == TimingsPolicy::Tell).then_some(&predicted.timings);
        let input = InputCard::new(item.input.path(), &picture.info);
        let record = self.asked.record(name, picture, &predicted.output);
        Envelope::new::<A::Task>(input, &self.card, &self.run, timings, record)
    }
}

/// The name of an item's file.
fn file_name(item: &Item) -> Cow<'_, str> {
    item.input.path().file_name().unwrap_or(OsStr::new("stdin")).to_string_lossy()
}

/// What was asked for; else what the extension of `-o` says, where it is no folder; else the `usual`.
pub(super) fn formats<F: ResultFormat>(asked: &[F], files: &Files, usual: &[F]) -> Vec<F> {
    let said = || {
        let output = Path::new(files.output.as_ref()?);
        let extension = output.extension().and_then(OsStr::to_str).filter(|_| !output.is_dir())?;
        F::of_extension(&extension.to_ascii_lowercase()).map(|format| vec![format])
    };
    if asked.is_empty() { said().unwrap_or_else(|| usual.to_vec()) } else { asked.to_vec() }
}

/// Writes what a format came to.
fn write(target: &OutputTarget, rendered: Rendered) -> Result<()> {
    match rendered {
        Rendered::File(bytes) => target.write(&bytes),
        Rendered::Folder(files) => target.write_folder(&files),
    }
}
