//! OpenPose's JSON: a person's keypoints in the order of its model BODY_25, those of the hands and of the face in theirs.
//!
//! OpenPose's neck and mid hip are in no data set but MPII and AiC (the neck): elsewhere they are the middle of both
//! shoulders and of both hips, where both are seen, and as sure as the less sure of them.

use percept_core::pose::{Keypoint, KeypointScheme, KeypointSet, Poses};
use percept_core::{Error, Result};
use serde::Serialize;

use super::HALF_A_PIXEL;

/// Where a keypoint of BODY_25 comes from.
enum From {
    /// A keypoint of that name.
    Named(&'static str),
    /// The first of these names that the set has, or else the middle of the two that follow.
    Middle(&'static [&'static str], [&'static str; 2]),
}

/// The keypoints of BODY_25 (`getPoseBodyPartMapping` of OpenPose).
const BODY_25: [From; 25] = [
    From::Named("nose"),
    From::Middle(&["neck", "upper_neck"], ["left_shoulder", "right_shoulder"]),
    From::Named("right_shoulder"),
    From::Named("right_elbow"),
    From::Named("right_wrist"),
    From::Named("left_shoulder"),
    From::Named("left_elbow"),
    From::Named("left_wrist"),
    From::Middle(&["pelvis"], ["left_hip", "right_hip"]),
    From::Named("right_hip"),
    From::Named("right_knee"),
    From::Named("right_ankle"),
    From::Named("left_hip"),
    From::Named("left_knee"),
    From::Named("left_ankle"),
    From::Named("right_eye"),
    From::Named("left_eye"),
    From::Named("right_ear"),
    From::Named("left_ear"),
    From::Named("left_big_toe"),
    From::Named("left_small_toe"),
    From::Named("left_heel"),
    From::Named("right_big_toe"),
    From::Named("right_small_toe"),
    From::Named("right_heel"),
];
/// OpenPose's face has both pupils behind the 68 points that data sets have.
const PUPILS: usize = 2;

/// A file, one a picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenPose {
    /// Of the format.
    pub version: f32,
    /// One a pose.
    pub people: Vec<Person>,
}

/// One person. Every list has x, y and score in turn; what is not seen is 0, 0, 0, and the centre of the first pixel
/// (0, 0).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Person {
    /// -1: nobody follows people from picture to picture here.
    pub person_id: [i32; 1],
    /// 25 keypoints of the body and the feet.
    pub pose_keypoints_2d: Vec<f32>,
    /// 70 of the face, or none.
    pub face_keypoints_2d: Vec<f32>,
    /// 21 of the left hand, or none.
    pub hand_left_keypoints_2d: Vec<f32>,
    /// 21 of the right hand, or none.
    pub hand_right_keypoints_2d: Vec<f32>,
    /// Empty.
    pub pose_keypoints_3d: Vec<f32>,
    /// Empty.
    pub face_keypoints_3d: Vec<f32>,
    /// Empty.
    pub hand_left_keypoints_3d: Vec<f32>,
    /// Empty.
    pub hand_right_keypoints_3d: Vec<f32>,
}

/// The file of a picture.
///
/// # Errors
/// [`Error::Argument`]: the keypoints are not of people.
pub fn openpose(poses: &Poses) -> Result<OpenPose> {
    let scheme = &poses.scheme;
    if scheme.set.is_none_or(KeypointSet::of_animals) {
        let what = scheme.set.map_or("a model's own".to_owned(), |set| format!("those of {set}"));
        return Err(Error::Argument {
            message: format!("OpenPose's format is for people; these keypoints are {what}"),
            hint: Some("write them as JSON, COCO or CSV".into()),
        });
    }
    let people = poses.poses.iter().map(|pose| person(&pose.keypoints, scheme));
    Ok(OpenPose { version: 1.3, people: people.collect() })
}

fn person(keypoints: &[Keypoint], scheme: &KeypointScheme) -> Person {
    let named = |name: &str| {
        let index = scheme.names.iter().position(|other| other == name)?;
        keypoints.get(index).filter(|keypoint| keypoint.seen).copied()
    };
    let known = |name: &&&str| scheme.names.iter().any(|other| other == **name);
    let body = |from: &From| match from {
        From::Named(name) => named(name),
        From::Middle(names, ends) => match names.iter().find(known) {
            Some(name) => named(name),
            None => named(ends[0]).zip(named(ends[1])).map(|(a, b)| middle(a, b)),
        },
    };
    let run = |first: &str, count: usize| match scheme.names.iter().position(|name| name == first) {
        Some(start) => keypoints[start..].iter().take(count).map(|k| Some(*k).filter(|k| k.seen)).collect(),
        None => Vec::new(),
    };
    let mut face = run("face-0", 68);
    if !face.is_empty() {
        face.extend([None; PUPILS]);
    }
    Person {
        person_id: [-1],
        pose_keypoints_2d: flat(BODY_25.iter().map(body)),
        face_keypoints_2d: flat(face),
        hand_left_keypoints_2d: flat(run("left_hand_root", 21)),
        hand_right_keypoints_2d: flat(run("right_hand_root", 21)),
        ..Person::default()
    }
}

fn middle(a: Keypoint, b: Keypoint) -> Keypoint {
    Keypoint { x: (a.x + b.x) / 2.0, y: (a.y + b.y) / 2.0, score: a.score.min(b.score), seen: true }
}

fn flat(keypoints: impl IntoIterator<Item = Option<Keypoint>>) -> Vec<f32> {
    let numbers = |keypoint: Option<Keypoint>| match keypoint {
        Some(Keypoint { x, y, score, .. }) => [x - HALF_A_PIXEL, y - HALF_A_PIXEL, score],
        None => [0.0; 3],
    };
    keypoints.into_iter().flat_map(numbers).collect()
}
