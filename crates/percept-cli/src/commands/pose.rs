//! `percept pose`: a picture to keypoints, the way that every task takes (docs/architecture.md).

use std::fmt::Debug;
use std::sync::Arc;

use percept::clip::PoseWatch;
use percept::flow::{ExitCode, Item, Plan};
use percept::hub::Hub;
use percept::pose::{
    self, Answers, Boxes, Finder, Format, PoseCard, PoseInput, PoseOptions, PoseRecord, Poses, Subject, Task,
};
use percept::{Error, Loaded, Rendered, Result, Runtime};
use serde::Serialize;

use super::clip::{self, Way};
use super::pictures::{self, Asked, Picture};
use crate::args::PoseArguments;

/// Poses that are more alike than this are of one subject that was found twice, as in mmpose.
const ALIKE: f32 = 0.9;

pub(crate) fn run(arguments: &PoseArguments) -> Result<ExitCode> {
    match clip::way(&arguments.on.files, &arguments.format, &arguments.clips)? {
        Way::Clips(formats) => clips(arguments, &formats),
        Way::Pictures(formats) => {
            let formats = pictures::formats(&formats, &arguments.on.files, &[Format::Json]);
            pictures::run(&arguments.on, &Keypoints::new(arguments, formats)?)
        }
    }
}

fn clips(arguments: &PoseArguments, formats: &[percept::clip::Format]) -> Result<ExitCode> {
    let track = arguments.clips.track;
    let Keypoints { options, whose, .. } = Keypoints::new(arguments, Vec::new())?;
    let finder = match whose {
        Whose::Found(finder) => Some(finder),
        Whose::Whole if track => {
            return Err(Error::argument("--track follows subjects that are found, and --whole finds none"));
        }
        Whose::Whole => None,
        Whose::Boxes(_) => {
            return Err(Error::argument("--boxes are of a picture; the subjects of a clip are found in it"));
        }
    };
    clip::run(&arguments.on, &arguments.clips, formats, |hub, name, runtime| {
        PoseWatch::load(hub, name, finder.as_ref(), options, track, runtime)
    })
}

/// `percept worker pose`.
pub(crate) fn serve(arguments: &PoseArguments) -> Result<ExitCode> {
    clip::refuse(&arguments.clips)?;
    pictures::serve(&arguments.on, &Keypoints::new(arguments, vec![Format::Json])?)
}

#[derive(Debug)]
struct Keypoints {
    options: Arc<PoseOptions>,
    whose: Whose,
    formats: Vec<Format>,
}

/// Whose keypoints are wanted.
#[derive(Debug)]
enum Whose {
    Found(Finder),
    Boxes(Boxes),
    Whole,
}

impl Keypoints {
    fn new(arguments: &PoseArguments, formats: Vec<Format>) -> Result<Self> {
        let whose = match &arguments.boxes {
            Some(path) => Whose::Boxes(Boxes::read(path)?),
            None if arguments.whole => Whose::Whole,
            None => Whose::Found(Finder {
                model: arguments.detector.clone(),
                classes: arguments.classes.clone(),
                score: arguments.detect_score,
            }),
        };
        let alike = matches!(whose, Whose::Found(_)).then_some(ALIKE);
        let options = Arc::new(PoseOptions {
            keypoints: arguments.keypoints,
            flip_test: arguments.flip_test,
            score: arguments.score,
            oks: arguments.oks.or(alike).filter(|oks| *oks < 1.0),
        });
        Ok(Self { options, whose, formats })
    }
}

impl Asked for Keypoints {
    type Task = Task;
    type Format = Format;
    type Card = PoseCard;

    fn formats(&self) -> &[Format] {
        &self.formats
    }

    fn check(&self, plan: &Plan) -> Result<()> {
        match &self.whose {
            Whose::Boxes(boxes) if plan.items.len() > 1 && !boxes.name_pictures() => Err(Error::Argument {
                message: format!("the boxes are of one picture, and there are {}", plan.items.len()),
                hint: Some("give each box an `image_id`: the name of its picture".into()),
            }),
            _ => Ok(()),
        }
    }

    fn load(&self, hub: &Hub, name: Option<&str>, runtime: &Runtime) -> Result<(Loaded<Task>, PoseCard)> {
        let finder = match &self.whose {
            Whose::Found(finder) => Some(finder),
            _ => None,
        };
        let pose::LoadedPose { loaded, card } =
            pose::load(hub, name, finder, self.options.keypoints, runtime)?;
        Ok((loaded, card))
    }

    fn besides(card: &PoseCard) -> Option<&dyn Debug> {
        Some(card)
    }

    fn input(&self, item: &Item, picture: &Picture) -> Result<PoseInput> {
        let image = picture.image.clone();
        let subjects = match &self.whose {
            Whose::Found(_) => Vec::new(),
            Whose::Boxes(boxes) => boxes.of(item.input.path())?,
            Whose::Whole => vec![Subject::whole(&image)],
        };
        Ok(PoseInput { image, subjects, options: self.options.clone() })
    }

    fn record(&self, _: &str, _: &Picture, poses: &Poses) -> impl Serialize {
        PoseRecord::new(poses)
    }

    fn render(&self, format: Format, name: &str, picture: &Picture, poses: &Poses) -> Result<Rendered> {
        Answers::new(poses, &picture.image, name).render(format)
    }
}
