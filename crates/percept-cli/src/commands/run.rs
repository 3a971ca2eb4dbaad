//! `percept run`: a pipeline from a file, the way that every task takes.

use std::ffi::OsString;
use std::mem::ManuallyDrop;

use percept::flow::ExitCode;
use percept::flow::{Format, FormatKind, Item, Manifest, Naming, Plan};
use percept::media::picture::PictureLimits;
use percept::pipeline::{MediaInfo, Pipeline, PipelineInput, PipelineOutput, Run, StageCard};
use percept::{Envelope, Error, InputCard, Predicted, Result, RunCard, TimingsPolicy};
use serde::Serialize;

use super::road::{Road, Work};
use super::{setup, worker};
use crate::args::{Files, RunArguments};
use crate::report::{self, BatchReport, Paths};

pub(crate) fn run(arguments: &RunArguments) -> Result<ExitCode> {
    let pipeline = Pipeline::read(&arguments.pipeline, &arguments.set)?;
    if arguments.files.raw.is_some() {
        return Err(Error::Argument {
            message: "a pipeline has no raw tensors".into(),
            hint: Some("the commands of its tasks have: `percept segment --raw`".into()),
        });
    }
    let accept = |path: &std::path::Path| pipeline.accepts(path);
    let plan = setup::plan(&arguments.files, formats(arguments, &pipeline), &accept, &["segment", "run"])?;
    if arguments.files.dry_run {
        report::note(pipeline.outline().trim_end());
        return report::plan(&plan);
    }
    let report = BatchReport::new(&arguments.running.progress, &plan, Paths::Printed);
    prepared(arguments, &pipeline, &report, |road, work| road.run(&plan, &pipeline.parameters(), work))
}

/// `percept worker run`.
pub(crate) fn serve(arguments: &RunArguments) -> Result<ExitCode> {
    worker::check(&arguments.files)?;
    let pipeline = Pipeline::read(&arguments.pipeline, &arguments.set)?;
    let report = BatchReport::new(&arguments.running.progress, &Plan::default(), Paths::Silent);
    prepared(arguments, &pipeline, &report, |road, work| road.serve(work))
}

/// The JSON of an input, and the folder of what its stages made, where they make files.
fn formats(arguments: &RunArguments, pipeline: &Pipeline) -> Vec<Format> {
    let format = |extension: &str, kind| Format {
        extension: extension.to_owned(),
        kind,
        naming: Naming::StemTask("run"),
    };
    let mut formats = vec![format("json", FormatKind::Text)];
    let Files { output, inputs, .. } = &arguments.files;
    let is_stream = |name: &OsString| name == "-";
    // On standard output, and of standard input where no place is named, there is room for the JSON only.
    let no_room = match output {
        Some(output) => is_stream(output),
        None => inputs.iter().any(is_stream),
    };
    if pipeline.writes_files() && !no_room {
        formats.push(format("files", FormatKind::Folder));
    }
    formats
}

fn prepared(
    arguments: &RunArguments,
    pipeline: &Pipeline,
    report: &BatchReport,
    go: impl FnOnce(&Road<'_, Run>, &Staged<'_>) -> Result<ExitCode>,
) -> Result<ExitCode> {
    let (runtime, hub) = setup::begin(&arguments.running)?;
    let (loaded, models) = pipeline.load(&hub, &runtime)?;
    // Never dropped: the system takes memory back faster than it is given back piece by piece.
    let loaded = ManuallyDrop::new(loaded);
    let work = Staged {
        pipeline,
        models,
        run: RunCard::new(&runtime, loaded.model.precision(), 0),
        limits: arguments.size.limits(),
        timings: setup::timings(&arguments.files),
        report,
    };
    go(&Road { files: &arguments.files, loaded: &loaded, runtime: &runtime, report }, &work)
}

struct Staged<'a> {
    pipeline: &'a Pipeline,
    models: Vec<StageCard>,
    run: RunCard,
    limits: PictureLimits,
    timings: TimingsPolicy,
    report: &'a BatchReport,
}

impl Work<Run> for Staged<'_> {
    type Meta = MediaInfo;

    fn read(&self, item: &Item, _: Option<&Manifest>) -> Result<(PipelineInput, MediaInfo)> {
        self.pipeline.open(&item.input, self.limits)
    }

    fn write(&self, item: &Item, info: &MediaInfo, predicted: &Predicted<PipelineOutput>) -> Result<()> {
        match info {
            MediaInfo::Picture(info) => self.report.warnings(item, &info.warnings),
            MediaInfo::Sound(info) => self.report.warnings(item, &info.warnings),
        }
        let mut targets = item.outputs.iter();
        if let Some(json) = targets.next() {
            json.write(report::json(&self.card(item, info, predicted))?.as_bytes())?;
        }
        targets.try_for_each(|folder| folder.write_folder(&self.pipeline.files(&predicted.output)?))
    }

    fn envelope(
        &self,
        item: &Item,
        info: &MediaInfo,
        predicted: &Predicted<PipelineOutput>,
    ) -> Result<String> {
        report::json_line(&self.card(item, info, predicted))
    }
}

impl Staged<'_> {
    fn card<'a>(
        &'a self,
        item: &Item,
        info: &'a MediaInfo,
        predicted: &'a Predicted<PipelineOutput>,
    ) -> impl Serialize + use<'a> {
        let timings = (self.timings == TimingsPolicy::Tell).then_some(&predicted.timings);
        let card = InputCard::new(item.input.path(), info);
        let record = self.pipeline.record(&predicted.output, self.timings);
        Envelope::new::<Run>(card, &self.models, &self.run, timings, record)
    }
}
