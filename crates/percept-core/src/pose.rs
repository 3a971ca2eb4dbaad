//! Image to keypoints: what goes in and what comes out.

use std::sync::Arc;

pub use crate::image::{Image, Orientation};

/// One picture, where somebody is in it, and what is asked of it.
#[derive(Clone, Debug)]
pub struct PoseInput {
    /// The picture.
    pub image: Arc<Image>,
    /// Each gives a pose, in this order. The whole picture is a box like any other.
    pub subjects: Vec<Subject>,
    /// What is asked.
    pub options: Arc<PoseOptions>,
}

/// A person or an animal whose keypoints are wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Subject {
    /// Left, top, right and bottom in pixels of the displayed picture, the corners of pixels at whole numbers.
    pub bounding_box: [f32; 4],
    /// How sure a detector was of it; 1 where nobody doubted.
    pub score: f32,
}

/// How keypoints are found, and what is kept of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoseOptions {
    /// The data set whose keypoints are wanted, where the model knows several; its first when absent.
    pub keypoints: Option<KeypointSet>,
    /// Look at each subject mirrored too, and take the mean (flip test).
    pub flip_test: bool,
    /// Keypoints below this score count as not seen: they are given, and marked.
    pub score: Option<f32>,
    /// Of poses that are alike by more than this object keypoint similarity (OKS) the better stays; none is dropped
    /// when absent.
    pub oks: Option<f32>,
}

/// The data sets whose keypoints published models know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeypointSet {
    /// COCO: 17 of people.
    Coco,
    /// AI Challenger: 14 of people.
    Aic,
    /// MPII: 16 of people.
    Mpii,
    /// AP-10K: 17 of animals.
    Ap10k,
    /// APT-36K: 17 of animals.
    Apt36k,
    /// COCO-WholeBody: 133 of people, with face, hands and feet.
    WholeBody,
}

/// The poses in one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Poses {
    /// Columns of the displayed picture.
    pub width: u32,
    /// Rows of the displayed picture.
    pub height: u32,
    /// Names of the keypoints, in the order of [`Pose::keypoints`].
    pub names: Arc<[String]>,
    /// Pairs of keypoints that a drawing joins.
    pub skeleton: Arc<[[usize; 2]]>,
    /// One a subject, in their order, less those that were dropped.
    pub poses: Vec<Pose>,
}

/// The keypoints of one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Pose {
    /// The subject's number in [`PoseInput::subjects`].
    pub subject: usize,
    /// The subject's box, unchanged.
    pub bounding_box: [f32; 4],
    /// The subject's score times the mean score of the keypoints that are seen.
    pub score: f32,
    /// All keypoints of the set, seen or not.
    pub keypoints: Vec<Keypoint>,
}

/// A keypoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keypoint {
    /// Pixels from the left of the displayed picture, the corners of pixels at whole numbers.
    pub x: f32,
    /// Pixels from its top.
    pub y: f32,
    /// The height of the heat map's peak, about 0 to 1.
    pub score: f32,
    /// Whether the score is above the threshold.
    pub seen: bool,
}
