//! The `result` of percept's own JSON.

use percept_core::pose::{Keypoint, KeypointScheme, KeypointSet, Label, Pose, Poses};
use serde::{Deserialize, Serialize};

/// The poses in one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoseRecord {
    /// Columns of the displayed picture, which all numbers are of.
    pub width: u32,
    /// Rows of that picture.
    pub height: u32,
    /// The data set that says what the keypoints are, or null where they are a model's own.
    pub keypoint_set: Option<KeypointSet>,
    /// Pairs of places in [`PoseEntry::keypoints`] that a drawing joins, from 0.
    pub skeleton: Vec<[usize; 2]>,
    /// In the order of the boxes.
    pub poses: Vec<PoseEntry>,
}

/// One [`Pose`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoseEntry {
    /// The number of its box, from 0.
    pub subject: usize,
    /// In the frames of a clip, who it is: the same number in all of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub track: Option<u32>,
    /// What the subject was taken for, or null.
    pub label: Option<Label>,
    /// 0 to 1.
    pub score: f32,
    /// Left, top, right, bottom in pixels.
    pub box_xyxy: [f32; 4],
    /// All keypoints of the set.
    pub keypoints: Vec<KeypointRecord>,
}

/// One [`Keypoint`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeypointRecord {
    /// As the data set calls it.
    pub name: String,
    /// Pixels from the left; the centre of the first is 0.5.
    pub x: f32,
    /// Pixels from the top.
    pub y: f32,
    /// About 0 to 1.
    pub score: f32,
    /// Whether the score is above the threshold.
    pub seen: bool,
}

impl PoseRecord {
    /// Of a frame, with the track of each pose.
    pub fn tracked(poses: &Poses, tracks: &[Option<u32>]) -> Self {
        let mut record = Self::new(poses);
        for (pose, track) in record.poses.iter_mut().zip(tracks) {
            pose.track = *track;
        }
        record
    }

    /// Of the displayed picture.
    pub fn new(poses: &Poses) -> Self {
        Self {
            width: poses.width,
            height: poses.height,
            keypoint_set: poses.scheme.set,
            skeleton: poses.scheme.skeleton.clone(),
            poses: poses.poses.iter().map(|pose| PoseEntry::new(pose, &poses.scheme)).collect(),
        }
    }
}

impl PoseEntry {
    /// Of one pose.
    pub fn new(pose: &Pose, scheme: &KeypointScheme) -> Self {
        let keypoint = |(keypoint, name): (&Keypoint, &String)| {
            let Keypoint { x, y, score, seen } = *keypoint;
            KeypointRecord { name: name.clone(), x, y, score, seen }
        };
        Self {
            subject: pose.subject,
            track: None,
            label: pose.label.clone(),
            score: pose.score,
            box_xyxy: pose.bounding_box,
            keypoints: pose.keypoints.iter().zip(&scheme.names).map(keypoint).collect(),
        }
    }
}
