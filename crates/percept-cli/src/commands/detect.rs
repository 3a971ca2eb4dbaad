//! `percept detect`: a picture to boxes, the way that every task takes (docs/architecture.md).

use std::mem::ManuallyDrop;
use std::sync::Arc;

use percept::detect::{
    self, Answers, DetectInput, DetectOptions, DetectRecord, Detections, Format, Looks, Merge, Nms, NmsScope,
    Task, Tiling, View,
};
use percept::flow::{ExitCode, Item, Manifest, Plan};
use percept::media::picture::PictureLimits;
use percept::picture::{self, InputCard};
use percept::{Envelope, ModelCard, Predicted, Result, RunCard, TimingsPolicy};
use serde::Serialize;

use super::pictures::{self, Picture, file_name};
use super::road::{Road, Work};
use super::{setup, worker};
use crate::args::{DetectArguments, MergeChoice};
use crate::report::{self, BatchReport, Paths};

pub(crate) fn run(arguments: &DetectArguments) -> Result<ExitCode> {
    let formats =
        pictures::formats(&arguments.format, &arguments.files, Format::of_extension, &[Format::Json]);
    let files = formats.iter().map(|format| format.file()).collect();
    let plan = setup::plan(&arguments.files, files, &picture::is_picture, &["detect"])?;
    if arguments.files.dry_run {
        return report::plan(&plan);
    }
    let report = BatchReport::new(&arguments.progress, &plan, Paths::Printed);
    prepared(arguments, formats, &report, |road, work, looks| {
        road.run(&plan, &(&work.options, &work.formats, looks), work)
    })
}

/// `percept worker detect`.
pub(crate) fn serve(arguments: &DetectArguments) -> Result<ExitCode> {
    worker::check(&arguments.files)?;
    let report = BatchReport::new(&arguments.progress, &Plan::default(), Paths::Silent);
    prepared(arguments, vec![Format::Json], &report, |road, work, _| road.serve(work))
}

/// Loads what was asked for and goes on with it.
fn prepared(
    arguments: &DetectArguments,
    formats: Vec<Format>,
    report: &BatchReport,
    go: impl FnOnce(&Road<'_, Task>, &Pictures<'_>, &Option<Looks>) -> Result<ExitCode>,
) -> Result<ExitCode> {
    let scope = if arguments.nms_agnostic { NmsScope::Agnostic } else { NmsScope::Class };
    let texts = arguments.text.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let options = Arc::new(DetectOptions {
        texts: texts.collect(),
        score: arguments.score,
        text_score: arguments.text_score,
        classes: arguments.classes.clone(),
        nms: arguments.nms.map(|iou| Nms { iou, scope }),
        max_detections: arguments.max_detections,
    });
    let looks = looks(arguments)?;
    let runtime = setup::runtime(&arguments.compute)?;
    let hub = setup::hub(&arguments.fetching, &arguments.progress);
    let model = arguments.model.as_deref();
    // Never dropped: the process ends with the command.
    let loaded = ManuallyDrop::new(detect::load(&hub, model, &options, looks.clone(), &runtime)?);
    let work = Pictures {
        options,
        formats,
        limits: pictures::limits(arguments.max_pixels),
        model: ModelCard::new(&loaded),
        run: RunCard::new(&runtime, loaded.model.precision(), 0),
        timings: setup::timings(&arguments.files),
        report,
    };
    go(&Road { files: &arguments.files, loaded: &loaded, runtime: &runtime, report }, &work, &looks)
}

/// How pictures are looked at, where not simply as a whole.
fn looks(arguments: &DetectArguments) -> Result<Option<Looks>> {
    if arguments.tile.is_empty() {
        return Ok(None);
    }
    let view = |tile: &u32| match tile {
        0 => Ok(View::Whole),
        tile => Tiling::new(*tile, arguments.overlap.unwrap_or(tile / 8)).map(View::Tiles),
    };
    let iou = arguments.merge_iou;
    let merge = match arguments.merge {
        MergeChoice::Nms => Merge::Suppress(Nms { iou, scope: NmsScope::Class }),
        MergeChoice::Wbf => Merge::Fuse { iou },
    };
    Ok(Some(Looks { views: arguments.tile.iter().map(view).collect::<Result<_>>()?, merge }))
}

struct Pictures<'a> {
    options: Arc<DetectOptions>,
    formats: Vec<Format>,
    limits: PictureLimits,
    model: ModelCard,
    run: RunCard,
    timings: TimingsPolicy,
    report: &'a BatchReport,
}

impl Work<Task> for Pictures<'_> {
    type Meta = Picture;

    fn read(&self, item: &Item, _: Option<&Manifest>) -> Result<(DetectInput, Picture)> {
        let (input, info) = detect::read(&item.input, &self.options, self.limits)?;
        let picture = Picture { image: input.image.clone(), info };
        Ok((input, picture))
    }

    fn write(&self, item: &Item, picture: &Picture, predicted: &Predicted<Detections>) -> Result<()> {
        self.report.warnings(item, &picture.info.warnings);
        let name = file_name(item);
        let answers = Answers::new(&predicted.output, &picture.image, &name);
        for (format, target) in self.formats.iter().zip(&item.outputs) {
            if *format == Format::Json {
                target.write(report::json(&self.card(item, picture, predicted))?.as_bytes())?;
            } else {
                pictures::write(target, answers.render(*format)?)?;
            }
        }
        Ok(())
    }

    fn envelope(&self, item: &Item, picture: &Picture, predicted: &Predicted<Detections>) -> Result<String> {
        report::json_line(&self.card(item, picture, predicted))
    }
}

impl Pictures<'_> {
    fn card<'a>(
        &'a self,
        item: &Item,
        picture: &'a Picture,
        predicted: &Predicted<Detections>,
    ) -> impl Serialize + use<'a> {
        let timings = (self.timings == TimingsPolicy::Tell).then_some(&predicted.timings);
        let card = InputCard::new(&item.input, &picture.info);
        Envelope::new::<Task>(card, &self.model, &self.run, timings, DetectRecord::new(&predicted.output))
    }
}
