//! `percept segment`: a picture to masks, the way that every task takes (docs/architecture.md).

use std::ffi::OsStr;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;

use percept::flow::{self, ExitCode, Item};
use percept::media::picture::{PictureInfo, PictureLimits};
use percept::media::raw;
use percept::segment::{
    self, Answers, Background, Candidates, EverythingOptions, Format, Image, InputCard, ObjectPrompt,
    Rendered, SegmentOptions, SegmentRequest, Segmentation, Standing, Task, WholeKind,
};
use percept::{Envelope, Error, ModelCard, Predicted, Result, RunCard, TimingsPolicy};

use super::{manifest, setup};
use crate::args::{KindChoice, OrientationChoice, SegmentArguments};
use crate::report::{self, BatchReport, Paths};

pub(crate) fn run(arguments: &SegmentArguments) -> Result<ExitCode> {
    let request = request(arguments)?;
    let formats = formats(arguments, &request);
    let files = formats.iter().map(|format| file_of(arguments, *format)).collect();
    let plan = setup::plan(&arguments.files, files, &segment::is_picture, &["segment"])?;
    setup::one_input_for_raw(&arguments.files, &plan)?;
    manifest::check_report(&arguments.files, &plan)?;
    if arguments.files.dry_run {
        return report::plan(&plan);
    }
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
    let writer = Writer {
        formats: &formats,
        background,
        standing: match arguments.orientation {
            OrientationChoice::Displayed => Standing::Displayed,
            OrientationChoice::Stored => Standing::Stored,
        },
        model: ModelCard::new(&loaded),
        run: RunCard::new(&runtime, loaded.model.precision(), 0),
        timings: setup::timings(&arguments.files),
    };
    let report = BatchReport::new(&arguments.progress, &plan, Paths::Printed);
    let limits = PictureLimits { max_pixels: u64::from(arguments.max_pixels) * 1_000_000 };
    let raw_file = arguments.files.raw.as_deref();
    let read = |item: &Item| {
        let (input, info) = segment::read(&item.input, &options, limits)?;
        if let Some(path) = raw_file {
            raw::write(path, &loaded.model.raw(&input)?)?;
        }
        let picture = Picture { image: input.image.clone(), info };
        Ok((input, picture))
    };
    let write = |item: &Item, picture: Picture, predicted: Predicted<Segmentation>| {
        report.warnings(item, &picture.info.warnings);
        writer.write(item, &picture, &predicted)?;
        report.written(item)
    };
    let precision = loaded.model.precision();
    let parameters = (
        &options,
        &formats,
        &arguments.background,
        arguments.orientation,
        arguments.tile,
        arguments.overlap,
        precision,
    );
    let manifest = setup::manifest::<Task>(&arguments.files, &plan, &loaded.local, &parameters)?;
    let run_options = setup::run_options(&arguments.files, &loaded.local.id, manifest)?;
    let summary = flow::run::<Task, _, _, _>(&*loaded.model, &plan, read, write, &run_options, &report);
    report.finish(&summary);
    setup::conclude(run_options, &plan)?;
    manifest::make_report(&arguments.files, &plan, &summary)?;
    Ok(setup::exit_code(&summary))
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
    let extension = || {
        let output = arguments.files.output.as_ref().filter(|output| !is_folder(output))?;
        let extension = Path::new(output).extension().and_then(OsStr::to_str)?;
        Format::of_extension(extension).map(|format| vec![format])
    };
    let asked = match arguments.format.as_slice() {
        [] => extension().unwrap_or_else(|| vec![Format::Json, Format::Png]),
        formats => formats.to_vec(),
    };
    let mut formats = Vec::new();
    for format in asked {
        let format = format.settled(request, &arguments.classes);
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    formats
}

fn is_folder(output: &OsStr) -> bool {
    Path::new(output).is_dir()
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

/// What the writer wants to know of a picture.
struct Picture {
    image: Arc<Image>,
    info: PictureInfo,
}

struct Writer<'a> {
    formats: &'a [Format],
    background: Option<Background>,
    standing: Standing,
    model: ModelCard,
    run: RunCard,
    timings: TimingsPolicy,
}

impl Writer<'_> {
    fn write(&self, item: &Item, picture: &Picture, predicted: &Predicted<Segmentation>) -> Result<()> {
        let name = item.input.path().file_name().unwrap_or(OsStr::new("stdin")).to_string_lossy();
        let orientation = picture.info.orientation;
        let answers = Answers::new(&predicted.output, &picture.image, &name, orientation, self.standing);
        for (format, target) in self.formats.iter().zip(&item.outputs) {
            if *format == Format::Json {
                let timings = (self.timings == TimingsPolicy::Tell).then_some(&predicted.timings);
                let card = InputCard::new(&item.input, &picture.info);
                let record = answers.record(self.formats);
                let envelope = Envelope::new::<Task>(card, &self.model, &self.run, timings, record);
                target.write(report::json(&envelope)?.as_bytes())?;
                continue;
            }
            match answers.render(*format, self.background.as_ref())? {
                Rendered::File(bytes) => target.write(&bytes)?,
                Rendered::Folder(files) => target.write_folder(&files)?,
            }
        }
        Ok(())
    }
}
