//! Image to keypoints: whose they are is found by a detector, read from a file, or the whole picture.

mod format;
mod output;
mod subjects;
mod top_down;

use std::sync::Arc;

use percept_backbone::checkpoint::ClassFilter;
use percept_core::detect::DetectOptions;
use percept_core::{Pose as PoseTask, Result, Runtime};
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
    let loaded = load_model(hub, percept_pose::ARCHS, name, runtime)?;
    let pose = ModelCard::new(&loaded);
    let Some(finder) = finder else {
        return Ok(LoadedPose { loaded, card: PoseCard { pose, detector: None } });
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
    let model = Box::new(TopDown::new(detector.model, options, loaded.model));
    Ok(LoadedPose { loaded: Loaded { model, ..loaded }, card })
}
