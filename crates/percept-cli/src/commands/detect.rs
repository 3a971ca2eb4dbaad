//! `percept detect`: a picture to boxes, the way that every task takes (docs/architecture.md).

use std::sync::Arc;

use percept::clip::DetectWatch;
use percept::detect::{
    self, Answers, DetectInput, DetectOptions, DetectRecord, Detections, Format, Looks, Merge, Nms, NmsScope,
    Task, Tiling, View,
};
use percept::flow::{ExitCode, Item};
use percept::hub::Hub;
use percept::{Loaded, ModelCard, Rendered, Result, Runtime};
use serde::Serialize;

use super::clip::{self, Way};
use super::pictures::{self, Asked, Picture};
use crate::args::{DetectArguments, MergeChoice};

pub(crate) fn run(arguments: &DetectArguments) -> Result<ExitCode> {
    match clip::way(&arguments.on.files, &arguments.format, &arguments.clips)? {
        Way::Clips(formats) => {
            let Boxes { options, looks, .. } = Boxes::new(arguments, Vec::new())?;
            let track = arguments.clips.track;
            clip::run(&arguments.on, &arguments.clips, &formats, |hub, name, runtime| {
                DetectWatch::load(hub, name, (*options).clone(), looks, track, runtime)
            })
        }
        Way::Pictures(formats) => {
            let formats = pictures::formats(&formats, &arguments.on.files, &[Format::Json]);
            pictures::run(&arguments.on, &Boxes::new(arguments, formats)?)
        }
    }
}

/// `percept worker detect`.
pub(crate) fn serve(arguments: &DetectArguments) -> Result<ExitCode> {
    clip::refuse(&arguments.clips)?;
    pictures::serve(&arguments.on, &Boxes::new(arguments, vec![Format::Json])?)
}

#[derive(Debug)]
struct Boxes {
    options: Arc<DetectOptions>,
    looks: Option<Looks>,
    formats: Vec<Format>,
}

impl Boxes {
    fn new(arguments: &DetectArguments, formats: Vec<Format>) -> Result<Self> {
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
        Ok(Self { options, looks: looks(arguments)?, formats })
    }
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

impl Asked for Boxes {
    type Task = Task;
    type Format = Format;
    type Card = ModelCard;

    fn formats(&self) -> &[Format] {
        &self.formats
    }

    fn load(&self, hub: &Hub, name: Option<&str>, runtime: &Runtime) -> Result<(Loaded<Task>, ModelCard)> {
        let loaded = detect::load(hub, name, &self.options, self.looks.clone(), runtime)?;
        let card = ModelCard::new(&loaded);
        Ok((loaded, card))
    }

    fn input(&self, _: &Item, picture: &Picture) -> Result<DetectInput> {
        Ok(DetectInput { image: picture.image.clone(), options: self.options.clone() })
    }

    fn record(&self, _: &str, _: &Picture, found: &Detections) -> impl Serialize {
        DetectRecord::new(found)
    }

    fn render(&self, format: Format, name: &str, picture: &Picture, found: &Detections) -> Result<Rendered> {
        Answers::new(found, &picture.image, name).render(format)
    }
}
