//! Image to keypoints: whose they are is found by a detector, read from a file, or the whole picture.

mod format;
mod output;
mod subjects;
mod top_down;

use std::sync::Arc;

use percept_backbone::checkpoint::ClassFilter;
use percept_core::detect::DetectOptions;
use percept_core::{Detect, Pose as PoseTask, Result, Runtime};
use percept_hub::Hub;
use serde::Serialize;

pub use format::Format;
pub use output::Answers;
pub use percept_core::pose::{
    Image, Keypoint, KeypointScheme, KeypointSet, Pose, PoseInput, PoseOptions, Poses, Subject,
};
pub use percept_pose::format::PoseRecord;
pub use percept_pose::scheme;
pub use subjects::Boxes;

use crate::envelope::ModelCard;
use crate::load::{Loaded, load as load_model};
use top_down::TopDown;
pub(crate) use top_down::subject;

/// The task, for [`crate::Envelope::new`] and [`crate::flow::run`].
pub type Task = PoseTask;

/// The animals among the classes of COCO, which most detectors know.
const ANIMALS: [&str; 10] =
    ["bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"];

/// How subjects are found in a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finder {
    /// The detector: a name of the catalogue, `ORG/REPO[@REV]`, a folder; the default of `detect` when absent.
    pub model: Option<String>,
    /// Subjects are of these classes; people, or animals where keypoints of animals are wanted, when empty.
    pub classes: Vec<String>,
    /// Boxes below this score are no subjects; the detector's own threshold when absent.
    pub score: Option<f32>,
}

/// What made a result: the model of poses, and the detector where there was one.
#[derive(Clone, Debug, Serialize)]
pub struct PoseCard {
    #[serde(flatten)]
    pose: ModelCard,
    #[serde(skip_serializing_if = "Option::is_none")]
    detector: Option<ModelCard>,
}

/// A model of poses, and what made whose poses they are.
pub struct LoadedPose {
    /// The model.
    pub loaded: Loaded<PoseTask>,
    /// Both models, for results.
    pub card: PoseCard,
}

/// Loads a model of poses. With a `finder` it finds its subjects itself, and those of inputs do not count.
///
/// # Errors
/// A model cannot be had, is of another task, or the detector does not know the classes of subjects.
pub fn load(
    hub: &Hub,
    name: Option<&str>,
    finder: Option<&Finder>,
    keypoints: Option<KeypointSet>,
    runtime: &Runtime,
) -> Result<LoadedPose> {
    let Apart { poses, finding, card } = apart(hub, name, finder, keypoints, runtime)?;
    let Some(Finding { detector, options }) = finding else { return Ok(LoadedPose { loaded: poses, card }) };
    let model = Box::new(TopDown::new(detector.model, options, poses.model));
    Ok(LoadedPose { loaded: Loaded { model, ..poses }, card })
}

/// A model of poses, and what finds their subjects, for who does something in between.
pub(crate) struct Apart {
    pub(crate) poses: Loaded<PoseTask>,
    pub(crate) finding: Option<Finding>,
    pub(crate) card: PoseCard,
}

/// What finds subjects.
pub(crate) struct Finding {
    pub(crate) detector: Loaded<Detect>,
    pub(crate) options: Arc<DetectOptions>,
}

/// As [`load`], with the two models by themselves.
pub(crate) fn apart(
    hub: &Hub,
    name: Option<&str>,
    finder: Option<&Finder>,
    keypoints: Option<KeypointSet>,
    runtime: &Runtime,
) -> Result<Apart> {
    let poses = load_model(hub, percept_pose::ARCHS, name, runtime)?;
    let pose = ModelCard::new(&poses);
    let Some(finder) = finder else {
        return Ok(Apart { poses, finding: None, card: PoseCard { pose, detector: None } });
    };
    let asked = DetectOptions { score: finder.score, ..DetectOptions::default() };
    let detector = crate::detect::load(hub, finder.model.as_deref(), &asked, None, runtime)?;
    let classes = match finder.classes.as_slice() {
        [] if keypoints.is_some_and(KeypointSet::of_animals) => ANIMALS.map(str::to_owned).to_vec(),
        [] => vec!["person".to_owned()],
        named => named.to_vec(),
    };
    ClassFilter::new(&classes, detector.model.labels())?;
    let options = Arc::new(DetectOptions { classes, ..asked });
    let card = PoseCard { pose, detector: Some(ModelCard::new(&detector)) };
    Ok(Apart { poses, finding: Some(Finding { detector, options }), card })
}
