//! The models that stages ask for, each loaded once.

use percept_backbone::checkpoint::ClassFilter;
use percept_core::detect::DetectOptions;
use percept_core::segment::SegmentRequest;
use percept_core::{Precision, Result, Runtime, Task, Tiling};
use percept_hub::Hub;

use super::execute::Models;
use super::stage::{Wanted, Work};
use crate::detect::{Looks, Merge, Nms, NmsScope, View};
use crate::{Loaded, ModelCard, detect, pose, segment, transcribe};

/// Boxes of tiles that overlap more than this (IoU) are one, as with `percept detect --tile`.
const MERGE: f32 = 0.5;

/// What a stage wants of which task. Stages that want the same share it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asked<'a> {
    /// Without a name the task's default depends on what is asked.
    Segment(&'a Wanted, Option<&'static str>),
    /// A detector that reads texts, or not: without a name the task's default depends on it.
    Detect(&'a Wanted, bool),
    Pose(&'a Wanted),
    Transcribe(&'a Wanted),
}

impl<'a> Asked<'a> {
    /// What a stage asks for; nothing where it needs no model.
    pub(super) fn by(work: &'a Work) -> Option<Self> {
        let usual = |wanted: &Wanted, request: &SegmentRequest| match wanted.model {
            Some(_) => None,
            None => segment::usual(request),
        };
        Some(match work {
            Work::Segment { wanted, options } => Self::Segment(wanted, usual(wanted, &options.request)),
            Work::SegmentBoxes { wanted } => {
                let boxes = SegmentRequest::Objects { objects: vec![], candidates: Default::default() };
                Self::Segment(wanted, usual(wanted, &boxes))
            }
            Work::Detect { wanted, options } => Self::Detect(wanted, !options.texts.is_empty()),
            Work::Pose { wanted, .. } => Self::Pose(wanted),
            Work::Transcribe { wanted, .. } => Self::Transcribe(wanted),
            _ => return None,
        })
    }

    /// Loads it, and says at which place among the models of its task it is.
    pub(super) fn load(&self, hub: &Hub, runtime: &Runtime, models: &mut Models) -> Result<usize> {
        fn place<T: Task>(models: &mut Vec<Loaded<T>>, loaded: Loaded<T>) -> usize {
            models.push(loaded);
            models.len() - 1
        }
        Ok(match self {
            Self::Segment(wanted, usual) => {
                let name = wanted.model.as_deref().or(*usual);
                let whole = SegmentRequest::default();
                place(&mut models.segment, segment::load(hub, name, &whole, wanted.tiles, runtime)?)
            }
            Self::Detect(wanted, reads) => {
                let texts = if *reads { vec!["object".to_owned()] } else { vec![] };
                let options = DetectOptions { texts, ..DetectOptions::default() };
                let looks = match wanted.tiles {
                    Some(tiles) => {
                        let nms = Nms { iou: MERGE, scope: NmsScope::Class };
                        let tiling = Tiling::new(tiles.size, tiles.overlap)?;
                        Some(Looks { views: vec![View::Tiles(tiling)], merge: Merge::Suppress(nms) })
                    }
                    None => None,
                };
                let name = wanted.model.as_deref();
                place(&mut models.detect, detect::load(hub, name, &options, looks, runtime)?)
            }
            Self::Pose(wanted) => {
                let name = wanted.model.as_deref();
                place(&mut models.pose, pose::load(hub, name, None, None, runtime)?.loaded)
            }
            Self::Transcribe(wanted) => {
                let name = wanted.model.as_deref();
                place(&mut models.transcribe, transcribe::load(hub, name, runtime)?)
            }
        })
    }

    /// Whether the model knows the classes that a stage wants: before anything has begun.
    ///
    /// # Errors
    /// `Error::Argument` with the nearest names.
    pub(super) fn check(work: &Work, models: &Models, place: usize) -> Result<()> {
        match work {
            Work::Detect { options, .. } if options.texts.is_empty() => {
                ClassFilter::new(&options.classes, models.detect[place].model.labels()).map(|_| ())
            }
            Work::Segment { options, .. } if matches!(options.request, SegmentRequest::Whole(_)) => {
                ClassFilter::new(&options.classes, models.segment[place].model.labels()).map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// What it is, and the precision that really runs.
    pub(super) fn card(&self, models: &Models, place: usize) -> (ModelCard, Precision) {
        fn card<T: Task>(loaded: &Loaded<T>) -> (ModelCard, Precision) {
            (ModelCard::new(loaded), loaded.model.precision())
        }
        match self {
            Self::Segment(..) => card(&models.segment[place]),
            Self::Detect(..) => card(&models.detect[place]),
            Self::Pose(_) => card(&models.pose[place]),
            Self::Transcribe(_) => card(&models.transcribe[place]),
        }
    }
}
