//! `percept segment`: a picture to masks, the way that every task takes (docs/architecture.md).

use std::fmt;
use std::sync::Arc;

use percept::flow::{self, ExitCode, Item};
use percept::hub::Hub;
use percept::segment::{
    self, Answers, Background, Candidates, EverythingOptions, Format, ObjectPrompt, SegmentInput,
    SegmentOptions, SegmentRequest, Segmentation, Standing, Task, Tiles, WholeKind,
};
use percept::{Error, Loaded, ModelCard, Rendered, Result, ResultFormat, Runtime};
use serde::Serialize;

use super::pictures::{self, Asked, Picture};
use crate::args::{KindChoice, OrientationChoice, SegmentArguments};

pub(crate) fn run(arguments: &SegmentArguments) -> Result<ExitCode> {
    let request = request(arguments)?;
    let formats = formats(arguments, &request);
    pictures::run(&arguments.on, &Masks::new(arguments, request, formats)?)
}

/// `percept worker segment`.
pub(crate) fn serve(arguments: &SegmentArguments) -> Result<ExitCode> {
    pictures::serve(&arguments.on, &Masks::new(arguments, request(arguments)?, vec![Format::Json])?)
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
    let asked = pictures::formats(&arguments.format, &arguments.on.files, &usual);
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

#[derive(Debug)]
struct Masks {
    options: Arc<SegmentOptions>,
    tiles: Option<Tiles>,
    behind: Option<Behind>,
    standing: Standing,
    formats: Vec<Format>,
    files: Vec<flow::Format>,
}

/// What stands behind a cut-out, with its name: a picture's pixels are no parameter to write down.
struct Behind {
    name: String,
    background: Background,
}

impl Behind {
    fn new(name: &str) -> Result<Self> {
        Ok(Self { name: name.to_owned(), background: segment::background(name)? })
    }
}

impl fmt::Debug for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Masks {
    fn new(arguments: &SegmentArguments, request: SegmentRequest, formats: Vec<Format>) -> Result<Self> {
        let options = Arc::new(SegmentOptions {
            request,
            score: arguments.score,
            classes: arguments.classes.clone(),
            min_area: arguments.min_area,
            fill_holes: arguments.fill_holes,
            max_instances: arguments.max_instances,
        });
        let overlap = |size: u32| arguments.overlap.unwrap_or(size / 8);
        Ok(Self {
            options,
            tiles: arguments.tile.map(|size| Tiles { size, overlap: overlap(size) }),
            behind: arguments.background.as_deref().map(Behind::new).transpose()?,
            standing: match arguments.orientation {
                OrientationChoice::Displayed => Standing::Displayed,
                OrientationChoice::Stored => Standing::Stored,
            },
            files: formats.iter().map(|format| file_of(arguments, *format)).collect(),
            formats,
        })
    }
}

impl Asked for Masks {
    type Task = Task;
    type Format = Format;
    type Card = ModelCard;

    fn formats(&self) -> &[Format] {
        &self.formats
    }

    fn file(&self, format: Format) -> flow::Format {
        let named = self.formats.iter().zip(&self.files).find(|(other, _)| **other == format);
        named.map_or_else(|| format.file(), |(_, file)| file.clone())
    }

    fn load(&self, hub: &Hub, name: Option<&str>, runtime: &Runtime) -> Result<(Loaded<Task>, ModelCard)> {
        let loaded = segment::load(hub, name, &self.options.request, self.tiles, runtime)?;
        let card = ModelCard::new(&loaded);
        Ok((loaded, card))
    }

    fn input(&self, _: &Item, picture: &Picture) -> Result<SegmentInput> {
        Ok(SegmentInput { image: picture.image.clone(), options: self.options.clone() })
    }

    fn record(&self, name: &str, picture: &Picture, found: &Segmentation) -> impl Serialize {
        self.answers(name, picture, found).record(&self.formats)
    }

    fn render(
        &self,
        format: Format,
        name: &str,
        picture: &Picture,
        found: &Segmentation,
    ) -> Result<Rendered> {
        self.answers(name, picture, found)
            .render(format, self.behind.as_ref().map(|behind| &behind.background))
    }
}

impl Masks {
    fn answers<'a>(&self, name: &'a str, picture: &'a Picture, found: &'a Segmentation) -> Answers<'a> {
        Answers::new(found, &picture.image, name, picture.info.orientation, self.standing)
    }
}
