//! What percept can do, as types.

use crate::caption::{CaptionInput, Captions};
use crate::depth::{DepthInput, DepthMap};
use crate::detect::{DetectInput, Detections};
use crate::pose::{PoseInput, Poses};
use crate::register::{RegisterInput, Registration};
use crate::segment::{SegmentInput, Segmentation};
use crate::transcribe::{TranscribeInput, Transcript};

/// One thing percept can do. [`Task::NAME`] is the verb of the command line, the `task` key in
/// `models.toml`, the suffix of the crate and the `task` field of every result.
pub trait Task: 'static {
    /// The verb, in lower case.
    const NAME: &'static str;
    /// Decoded media and its prompt: all that one prediction needs.
    type Input: Send + Sync;
    /// In the coordinates of the original media, never of the network's canvas.
    type Output: Into<Prediction> + Send;
}

/// The output of any task. Closed on purpose: a new task adds a variant, and the compiler lists what
/// must learn it.
#[derive(Clone, Debug)]
pub enum Prediction {
    /// Image to text.
    Caption(Captions),
    /// Image to depth.
    Depth(DepthMap),
    /// Image to boxes.
    Detect(Detections),
    /// Image to keypoints.
    Pose(Poses),
    /// Two point clouds to a rigid motion.
    Register(Box<Registration>),
    /// Image to mask.
    Segment(Segmentation),
    /// Speech to text.
    Transcribe(Transcript),
    /// What the stages of a pipeline made; who runs it knows their types.
    Pipeline,
}

/// Image to text. A name at the type level; never built.
#[derive(Debug)]
pub enum Caption {}

impl Task for Caption {
    const NAME: &'static str = "caption";
    type Input = CaptionInput;
    type Output = Captions;
}

impl From<Captions> for Prediction {
    fn from(captions: Captions) -> Self {
        Self::Caption(captions)
    }
}

/// Image to depth. A name at the type level; never built.
#[derive(Debug)]
pub enum Depth {}

impl Task for Depth {
    const NAME: &'static str = "depth";
    type Input = DepthInput;
    type Output = DepthMap;
}

impl From<DepthMap> for Prediction {
    fn from(map: DepthMap) -> Self {
        Self::Depth(map)
    }
}

/// Image to boxes. A name at the type level; never built.
#[derive(Debug)]
pub enum Detect {}

impl Task for Detect {
    const NAME: &'static str = "detect";
    type Input = DetectInput;
    type Output = Detections;
}

impl From<Detections> for Prediction {
    fn from(detections: Detections) -> Self {
        Self::Detect(detections)
    }
}

/// Image to keypoints. A name at the type level; never built.
#[derive(Debug)]
pub enum Pose {}

impl Task for Pose {
    const NAME: &'static str = "pose";
    type Input = PoseInput;
    type Output = Poses;
}

impl From<Poses> for Prediction {
    fn from(poses: Poses) -> Self {
        Self::Pose(poses)
    }
}

/// Two point clouds to the rigid motion that takes one onto the other. A name at the type level; never built.
#[derive(Debug)]
pub enum Register {}

impl Task for Register {
    const NAME: &'static str = "register";
    type Input = RegisterInput;
    type Output = Registration;
}

impl From<Registration> for Prediction {
    fn from(registration: Registration) -> Self {
        Self::Register(Box::new(registration))
    }
}

/// Image to mask. A name at the type level; never built.
#[derive(Debug)]
pub enum Segment {}

impl Task for Segment {
    const NAME: &'static str = "segment";
    type Input = SegmentInput;
    type Output = Segmentation;
}

impl From<Segmentation> for Prediction {
    fn from(segmentation: Segmentation) -> Self {
        Self::Segment(segmentation)
    }
}

/// Speech to text. A name at the type level; never built.
#[derive(Debug)]
pub enum Transcribe {}

impl Task for Transcribe {
    const NAME: &'static str = "transcribe";
    type Input = TranscribeInput;
    type Output = Transcript;
}

impl From<Transcript> for Prediction {
    fn from(transcript: Transcript) -> Self {
        Self::Transcribe(transcript)
    }
}
