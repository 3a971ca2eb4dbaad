//! `percept segment`: a picture to masks, the way that every task takes (docs/architecture.md).

use std::mem::ManuallyDrop;
use std::sync::Arc;

use percept::flow::{self, ExitCode, Item, Manifest, Plan};
use percept::media::picture::PictureLimits;
use percept::picture::{self, InputCard};
use percept::segment::{
    self, Answers, Background, Candidates, EverythingOptions, Format, ObjectPrompt, SegmentInput,
    SegmentOptions, SegmentRequest, Segmentation, Standing, Task, WholeKind,
};
use percept::{Envelope, Error, ModelCard, Predicted, Result, RunCard, TimingsPolicy};
use serde::Serialize;

use super::pictures::{self, Picture, file_name};
use super::road::{Road, Work};
use super::{setup, worker};
use crate::args::{KindChoice, OrientationChoice, SegmentArguments};
use crate::report::{self, BatchReport, Paths};

pub(crate) fn run(arguments: &SegmentArguments) -> Result<ExitCode> {
    let request = request(arguments)?;
    let formats = formats(arguments, &request);
    let files = formats.iter().map(|format| file_of(arguments, *format)).collect();
    let plan = setup::plan(&arguments.files, files, &picture::is_picture, &["segment"])?;
    if arguments.files.dry_run {
        return report::plan(&plan);
    }
    let report = BatchReport::new(&arguments.progress, &plan, Paths::Printed);
    prepared(arguments, request, formats, &report, |road, work| {
        let parameters = (
            &work.options,
            &work.formats,
            &arguments.background,
            arguments.orientation,
            arguments.tile,
            arguments.overlap,
        );
        road.run(&plan, &parameters, work)
    })
}

/// `percept worker segment`.
pub(crate) fn serve(arguments: &SegmentArguments) -> Result<ExitCode> {
    worker::check(&arguments.files)?;
    let request = request(arguments)?;
    let report = BatchReport::new(&arguments.progress, &Plan::default(), Paths::Silent);
    prepared(arguments, request, vec![Format::Json], &report, |road, work| road.serve(work))
}

/// Loads what was asked for and goes on with it.
fn prepared(
    arguments: &SegmentArguments,
    request: SegmentRequest,
    formats: Vec<Format>,
    report: &BatchReport,
    go: impl FnOnce(&Road<'_, Task>, &Pictures<'_>) -> Result<ExitCode>,
) -> Result<ExitCode> {
    let background = arguments.background.as_deref().map(segment::background).transpose()?;
    let options = Arc::new(SegmentOptions {
        request,
        score: arguments.score,
        classes: arguments.classes.clone(),
        min_area: arguments.min_area,
        fill_holes: arguments.fill_holes,
        max_instances: arguments.max_instances,
    });
    let runtime = setup::runtime(&arguments.compute)?;
    let hub = setup::hub(&arguments.fetching, &arguments.progress);
    let tiles =
        arguments.tile.map(|size| segment::Tiles { size, overlap: arguments.overlap.unwrap_or(size / 8) });
    let model = arguments.model.as_deref();
    // Never dropped: the process ends with the command, and the system takes memory back faster than it is
    // given back piece by piece.
    let loaded = ManuallyDrop::new(segment::load(&hub, model, &options.request, tiles, &runtime)?);
    let work = Pictures {
        options,
        formats,
        background,
        standing: match arguments.orientation {
            OrientationChoice::Displayed => Standing::Displayed,
            OrientationChoice::Stored => Standing::Stored,
        },
        limits: pictures::limits(arguments.max_pixels),
        model: ModelCard::new(&loaded),
        run: RunCard::new(&runtime, loaded.model.precision(), 0),
        timings: setup::timings(&arguments.files),
        report,
    };
    go(&Road { files: &arguments.files, loaded: &loaded, runtime: &runtime, report }, &work)
}

fn request(arguments: &SegmentArguments) -> Result<SegmentRequest> {
    let prompts = &arguments.prompts;
    let generator = &arguments.generator;
    if !prompts.text.is_empty() {
        return Ok(SegmentRequest::Text(prompts.text.clone()));
    }
    if generator.everything {
        return Ok(SegmentRequest::Everything(EverythingOptions {
            points_per_side: usize::from(generator.points_per_side),
            points_per_batch: usize::from(generator.points_per_batch),
            pred_iou_thresh: generator.pred_iou_thresh,
            stability_score_thresh: generator.stability_score_thresh,
            box_nms_thresh: generator.box_nms_thresh,
            crop_n_layers: usize::from(generator.crop_n_layers),
            crop_n_points_downscale_factor: usize::from(generator.crop_n_points_downscale_factor),
            min_mask_region_area: generator.min_mask_region_area,
            ..EverythingOptions::default()
        }));
    }
    let objects = objects(arguments)?;
    if !objects.is_empty() {
        let candidates = if prompts.candidates { Candidates::All } else { Candidates::Best };
        return Ok(SegmentRequest::Objects { objects, candidates });
    }
    Ok(SegmentRequest::Whole(match arguments.kind {
        None => WholeKind::Auto,
        Some(KindChoice::Panoptic) => WholeKind::Panoptic,
        Some(KindChoice::Instance) => WholeKind::Instance,
        Some(KindChoice::Semantic) => WholeKind::Semantic,
    }))
}

/// All points are of one object, and of the box where there is one.
fn objects(arguments: &SegmentArguments) -> Result<Vec<ObjectPrompt>> {
    let prompts = &arguments.prompts;
    let wrong =
        |message: &str, hint: &str| Err(Error::Argument { message: message.into(), hint: Some(hint.into()) });
    let mut objects = match (&prompts.prompts, prompts.boxes.as_slice(), prompts.point.as_slice()) {
        (Some(path), ..) => segment::objects(path)?,
        (None, [], []) => Vec::new(),
        (None, boxes, []) => {
            let object = |bounding_box: &[f32; 4]| ObjectPrompt {
                bounding_box: Some(*bounding_box),
                ..ObjectPrompt::default()
            };
            boxes.iter().map(object).collect()
        }
        (None, [] | [_], points) => vec![ObjectPrompt {
            points: points.to_vec(),
            bounding_box: prompts.boxes.first().copied(),
            mask: None,
        }],
        _ => {
            return wrong(
                "it is not clear which of several boxes the points belong to",
                "write the objects into a file and name it with `--prompts`",
            );
        }
    };
    if let Some(path) = &prompts.mask_prompt {
        let masks = segment::mask_prompt(path)?;
        if masks.len() != objects.len() {
            return wrong(
                &format!(
                    "`{}` has masks of {} objects, and {} are asked for",
                    path.display(),
                    masks.len(),
                    objects.len()
                ),
                "repeat the prompts that the masks answered",
            );
        }
        for (object, mask) in objects.iter_mut().zip(masks) {
            object.mask = Some(mask);
        }
    } else if prompts.candidates && objects.is_empty() {
        return wrong("--candidates is of points and boxes", "add `--point X,Y` or `--box X0,Y0,X1,Y1`");
    }
    Ok(objects)
}

/// What to write, in order; the extension of `-o` decides where nothing is said.
fn formats(arguments: &SegmentArguments, request: &SegmentRequest) -> Vec<Format> {
    let usual = [Format::Json, Format::Png];
    let asked = pictures::formats(&arguments.format, &arguments.files, Format::of_extension, &usual);
    let mut formats = Vec::new();
    for format in asked {
        let format = format.settled(request, &arguments.classes);
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    formats
}

/// `png` gives files of that name, whatever it means here.
fn file_of(arguments: &SegmentArguments, format: Format) -> flow::Format {
    let by_other_name = arguments.format.is_empty() || arguments.format.contains(&Format::Png);
    match format {
        Format::Mask if by_other_name && !arguments.format.contains(&Format::Mask) => Format::Png.file(),
        Format::Index if by_other_name && !arguments.format.contains(&Format::Index) => Format::Png.file(),
        other => other.file(),
    }
}

struct Pictures<'a> {
    options: Arc<SegmentOptions>,
    formats: Vec<Format>,
    background: Option<Background>,
    standing: Standing,
    limits: PictureLimits,
    model: ModelCard,
    run: RunCard,
    timings: TimingsPolicy,
    report: &'a BatchReport,
}

impl Work<Task> for Pictures<'_> {
    type Meta = Picture;

    fn read(&self, item: &Item, _: Option<&Manifest>) -> Result<(SegmentInput, Picture)> {
        let (input, info) = segment::read(&item.input, &self.options, self.limits)?;
        let picture = Picture { image: input.image.clone(), info };
        Ok((input, picture))
    }

    fn write(&self, item: &Item, picture: &Picture, predicted: &Predicted<Segmentation>) -> Result<()> {
        self.report.warnings(item, &picture.info.warnings);
        let name = file_name(item);
        let answers = self.answers(&name, picture, predicted);
        for (format, target) in self.formats.iter().zip(&item.outputs) {
            if *format == Format::Json {
                let envelope = self.card(item, picture, predicted, &answers);
                target.write(report::json(&envelope)?.as_bytes())?;
                continue;
            }
            pictures::write(target, answers.render(*format, self.background.as_ref())?)?;
        }
        Ok(())
    }

    fn envelope(
        &self,
        item: &Item,
        picture: &Picture,
        predicted: &Predicted<Segmentation>,
    ) -> Result<String> {
        let name = file_name(item);
        report::json_line(&self.card(item, picture, predicted, &self.answers(&name, picture, predicted)))
    }
}

impl Pictures<'_> {
    fn answers<'a>(
        &self,
        name: &'a str,
        picture: &'a Picture,
        predicted: &'a Predicted<Segmentation>,
    ) -> Answers<'a> {
        Answers::new(&predicted.output, &picture.image, name, picture.info.orientation, self.standing)
    }

    fn card<'a>(
        &'a self,
        item: &Item,
        picture: &'a Picture,
        predicted: &Predicted<Segmentation>,
        answers: &Answers<'_>,
    ) -> impl Serialize + use<'a> {
        let timings = (self.timings == TimingsPolicy::Tell).then_some(&predicted.timings);
        let card = InputCard::new(&item.input, &picture.info);
        Envelope::new::<Task>(card, &self.model, &self.run, timings, answers.record(&self.formats))
    }
}
