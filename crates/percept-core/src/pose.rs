//! Image to keypoints: what goes in and what comes out.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::image::{Image, Orientation};
pub use crate::segment::Label;

/// One picture, where somebody is in it, and what is asked of it.
#[derive(Clone, Debug)]
pub struct PoseInput {
    /// The picture.
    pub image: Arc<Image>,
    /// Each gives a pose, in this order. The whole picture is a box like any other ([`Subject::whole`]).
    pub subjects: Vec<Subject>,
    /// What is asked.
    pub options: Arc<PoseOptions>,
}

/// A person or an animal whose keypoints are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Left, top, right and bottom in pixels of the displayed picture, the corners of pixels at whole numbers. It may
    /// reach beyond the picture, but not lie outside of it.
    pub bounding_box: [f32; 4],
    /// How sure a detector was of it; 1 where nobody doubted.
    pub score: f32,
    /// What a detector took it for.
    pub label: Option<Label>,
}

impl Subject {
    /// All of a picture.
    pub fn whole(image: &Image) -> Self {
        Self { bounding_box: [0.0, 0.0, image.width as f32, image.height as f32], score: 1.0, label: None }
    }
}

/// How keypoints are found, and what is kept of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoseOptions {
    /// The data set whose keypoints are wanted, where the model knows several; its first when absent.
    pub keypoints: Option<KeypointSet>,
    /// Look at each subject mirrored too, and take the mean (flip test).
    pub flip_test: bool,
    /// Keypoints that do not score more than this count as not seen: they are given, and marked. The model's own
    /// threshold when absent.
    pub score: Option<f32>,
    /// Of poses that are alike by more than this object keypoint similarity (OKS) the better stays; none is dropped
    /// when absent.
    pub oks: Option<f32>,
}

/// The data sets whose keypoints published models know, in the order of ViTPose++'s experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

impl KeypointSet {
    /// All, each at its number among ViTPose++'s experts (`dataset_index`).
    pub const ALL: [Self; 6] =
        [Self::Coco, Self::Aic, Self::Mpii, Self::Ap10k, Self::Apt36k, Self::WholeBody];

    /// As it is typed and written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coco => "coco",
            Self::Aic => "aic",
            Self::Mpii => "mpii",
            Self::Ap10k => "ap10k",
            Self::Apt36k => "apt36k",
            Self::WholeBody => "wholebody",
        }
    }

    /// Whether it is of animals; the others are of people.
    pub fn of_animals(self) -> bool {
        matches!(self, Self::Ap10k | Self::Apt36k)
    }
}

impl fmt::Display for KeypointSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeypointSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let wanted = Self::ALL.into_iter().find(|set| set.name() == text);
        wanted.ok_or_else(|| format!("`{text}` is no set of keypoints; use one of {}", names()))
    }
}

/// What the keypoints of a set are, and how they belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct KeypointScheme {
    /// The data set; absent where a model has keypoints of its own.
    pub set: Option<KeypointSet>,
    /// Of the keypoints, in the order of [`Pose::keypoints`].
    pub names: Vec<String>,
    /// Pairs of keypoints that a drawing joins.
    pub skeleton: Vec<[usize; 2]>,
    /// Keypoints that change places in a mirror.
    pub flip_pairs: Vec<[usize; 2]>,
    /// On which side of the body each keypoint is.
    pub sides: Vec<Side>,
    /// How far annotators are apart at each keypoint, as a part of the subject's size (COCO's sigmas); empty where
    /// nobody measured it.
    pub sigmas: Vec<f32>,
}

impl KeypointScheme {
    /// The side that a line of the skeleton belongs to: that of its ends, and the middle where they differ.
    pub fn side_of(&self, [from, to]: [usize; 2]) -> Side {
        match (self.sides.get(from), self.sides.get(to)) {
            (Some(a), Some(b)) if a == b => *a,
            // From the neck to a shoulder, say: the limb begins in the middle.
            (Some(Side::Centre), Some(side)) | (Some(side), Some(Side::Centre)) => *side,
            _ => Side::Centre,
        }
    }
}

/// A side of the body, as its owner says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The left one.
    Left,
    /// The right one.
    Right,
    /// Neither.
    Centre,
}

/// The poses in one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Poses {
    /// Columns of the displayed picture.
    pub width: u32,
    /// Rows of the displayed picture.
    pub height: u32,
    /// What the keypoints are.
    pub scheme: Arc<KeypointScheme>,
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
    /// What the subject was taken for.
    pub label: Option<Label>,
    /// The subject's score times the mean score of the keypoints that are seen; 0 where none is.
    pub score: f32,
    /// All keypoints of the set, seen or not.
    pub keypoints: Vec<Keypoint>,
}

/// A keypoint.
///
/// Its place is on percept's axes, where the centre of the first pixel is (0.5, 0.5). COCO, mmpose and transformers
/// count pixels: there that centre is (0, 0). So the same keypoint has coordinates smaller by 0.5 in their files, and
/// in the formats of theirs that percept writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keypoint {
    /// Pixels from the left of the displayed picture, the corners of pixels at whole numbers; it may be outside.
    pub x: f32,
    /// Pixels from its top.
    pub y: f32,
    /// The height of the heat map's peak, about 0 to 1.
    pub score: f32,
    /// Whether the score is above the threshold.
    pub seen: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_and_written() {
        for (index, set) in KeypointSet::ALL.into_iter().enumerate() {
            assert_eq!(set.to_string().parse(), Ok(set));
            assert_eq!(set as usize, index);
        }
        assert!("COCO".parse::<KeypointSet>().unwrap_err().contains("wholebody"));
    }
}
