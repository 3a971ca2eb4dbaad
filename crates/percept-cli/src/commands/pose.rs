//! `percept pose`: a picture to keypoints, the way that every task takes (docs/architecture.md).

use std::mem::ManuallyDrop;
use std::sync::Arc;

use percept::flow::{ExitCode, Item, Manifest, Plan};
use percept::media::picture::PictureLimits;
use percept::picture::{self, InputCard};
use percept::pose::{
    self, Answers, Boxes, Finder, Format, PoseCard, PoseInput, PoseOptions, PoseRecord, Poses, Subject, Task,
};
use percept::{Envelope, Error, Predicted, Result, RunCard, TimingsPolicy};
use serde::Serialize;

use super::pictures::{self, Picture, file_name};
use super::road::{Road, Work};
use super::{setup, worker};
use crate::args::PoseArguments;
use crate::report::{self, BatchReport, Paths};

/// Poses that are more alike than this are of one subject that was found twice, as in mmpose.
const ALIKE: f32 = 0.9;

pub(crate) fn run(arguments: &PoseArguments) -> Result<ExitCode> {
    let formats =
        pictures::formats(&arguments.format, &arguments.files, Format::of_extension, &[Format::Json]);
    let files = formats.iter().map(|format| format.file()).collect();
    let plan = setup::plan(&arguments.files, files, &picture::is_picture, &["pose"])?;
    let whose = Whose::of(arguments)?;
    if let Whose::Boxes(boxes) = &whose
        && plan.items.len() > 1
        && !boxes.name_pictures()
    {
        return Err(Error::Argument {
            message: format!("the boxes are of one picture, and there are {}", plan.items.len()),
            hint: Some("give each box an `image_id`: the name of its picture".into()),
        });
    }
    if arguments.files.dry_run {
        return report::plan(&plan);
    }
    let report = BatchReport::new(&arguments.progress, &plan, Paths::Printed);
    prepared(arguments, whose, formats, &report, |road, work| {
        // The detector is a part of what made the results.
        road.run(&plan, &(&work.options, &work.formats, &work.whose, &work.card), work)
    })
}

/// `percept worker pose`.
pub(crate) fn serve(arguments: &PoseArguments) -> Result<ExitCode> {
    worker::check(&arguments.files)?;
    let report = BatchReport::new(&arguments.progress, &Plan::default(), Paths::Silent);
    prepared(arguments, Whose::of(arguments)?, vec![Format::Json], &report, |road, work| road.serve(work))
}

/// Whose keypoints are wanted.
#[derive(Debug)]
enum Whose {
    Found(Finder),
    Boxes(Boxes),
    Whole,
}

impl Whose {
    fn of(arguments: &PoseArguments) -> Result<Self> {
        Ok(match &arguments.boxes {
            Some(path) => Self::Boxes(Boxes::read(path)?),
            None if arguments.whole => Self::Whole,
            None => Self::Found(Finder {
                model: arguments.detector.clone(),
                classes: arguments.classes.clone(),
                score: arguments.detect_score,
            }),
        })
    }
}

/// Loads what was asked for and goes on with it.
fn prepared(
    arguments: &PoseArguments,
    whose: Whose,
    formats: Vec<Format>,
    report: &BatchReport,
    go: impl FnOnce(&Road<'_, Task>, &Pictures<'_>) -> Result<ExitCode>,
) -> Result<ExitCode> {
    let finder = match &whose {
        Whose::Found(finder) => Some(finder),
        _ => None,
    };
    let oks = arguments.oks.or(finder.map(|_| ALIKE)).filter(|oks| *oks < 1.0);
    let options = Arc::new(PoseOptions {
        keypoints: arguments.keypoints,
        flip_test: arguments.flip_test,
        score: arguments.score,
        oks,
    });
    let runtime = setup::runtime(&arguments.compute)?;
    let hub = setup::hub(&arguments.fetching, &arguments.progress);
    let model = arguments.model.as_deref();
    // Never dropped: the process ends with the command.
    let loaded = ManuallyDrop::new(pose::load(&hub, model, finder, arguments.keypoints, &runtime)?);
    let run = RunCard::new(&runtime, loaded.loaded.model.precision(), 0);
    let work = Pictures {
        options,
        whose,
        formats,
        limits: pictures::limits(arguments.max_pixels),
        card: loaded.card.clone(),
        run,
        timings: setup::timings(&arguments.files),
        report,
    };
    go(&Road { files: &arguments.files, loaded: &loaded.loaded, runtime: &runtime, report }, &work)
}

struct Pictures<'a> {
    options: Arc<PoseOptions>,
    whose: Whose,
    formats: Vec<Format>,
    limits: PictureLimits,
    card: PoseCard,
    run: RunCard,
    timings: TimingsPolicy,
    report: &'a BatchReport,
}

impl Work<Task> for Pictures<'_> {
    type Meta = Picture;

    fn read(&self, item: &Item, _: Option<&Manifest>) -> Result<(PoseInput, Picture)> {
        let (image, info) = picture::read(&item.input, self.limits)?;
        let subjects = match &self.whose {
            Whose::Found(_) => Vec::new(),
            Whose::Boxes(boxes) => boxes.of(item.input.path())?,
            Whose::Whole => vec![Subject::whole(&image)],
        };
        let input = PoseInput { image: image.clone(), subjects, options: self.options.clone() };
        Ok((input, Picture { image, info }))
    }

    fn write(&self, item: &Item, picture: &Picture, predicted: &Predicted<Poses>) -> Result<()> {
        self.report.warnings(item, &picture.info.warnings);
        let name = file_name(item);
        let answers = Answers::new(&predicted.output, &picture.image, &name);
        for (format, target) in self.formats.iter().zip(&item.outputs) {
            if *format == Format::Json {
                target.write(report::json(&self.card(item, picture, predicted))?.as_bytes())?;
            } else {
                target.write(&answers.render(*format)?)?;
            }
        }
        Ok(())
    }

    fn envelope(&self, item: &Item, picture: &Picture, predicted: &Predicted<Poses>) -> Result<String> {
        report::json_line(&self.card(item, picture, predicted))
    }
}

impl Pictures<'_> {
    fn card<'a>(
        &'a self,
        item: &Item,
        picture: &'a Picture,
        predicted: &Predicted<Poses>,
    ) -> impl Serialize + use<'a> {
        let timings = (self.timings == TimingsPolicy::Tell).then_some(&predicted.timings);
        let card = InputCard::new(&item.input, &picture.info);
        Envelope::new::<Task>(card, &self.card, &self.run, timings, PoseRecord::new(&predicted.output))
    }
}
