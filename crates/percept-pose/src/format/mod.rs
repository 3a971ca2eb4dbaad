//! Poses as text: COCO's keypoints, CSV, OpenPose's JSON, and the `result` of percept's own JSON.
//!
//! percept's own JSON and CSV have the coordinates of `percept_core::pose::Keypoint`: the centre of the first pixel is
//! (0.5, 0.5). COCO and OpenPose count pixels, so their numbers are smaller by 0.5; boxes are the same in all of them.
//!
//! | format | a keypoint that is not seen | all sets |
//! |---|---|---|
//! | percept's JSON, CSV | its place, `seen` false | yes |
//! | COCO | its place, `v` 1 | yes |
//! | OpenPose | 0, 0, 0 | those of people |

mod coco;
mod csv;
mod openpose;
mod record;

#[cfg(test)]
mod tests;

pub use coco::push_coco;
pub use csv::{CSV_HEADER, csv};
pub use openpose::{OpenPose, Person, openpose};
pub use record::{KeypointRecord, PoseEntry, PoseRecord};

/// What separates percept's coordinates from those that count pixels.
const HALF_A_PIXEL: f32 = 0.5;
