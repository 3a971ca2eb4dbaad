//! Image to keypoints, top down: each subject's box is cut from the picture, and the network finds the keypoints of the
//! one subject that it shows (`vitpose`).
//!
//! [`ARCHS`] lists the architectures, [`scheme`] has the keypoints of data sets, [`subjects`] reads boxes from a file,
//! and [`mod@format`] writes poses as text.
#![forbid(unsafe_code)]

mod crop;
mod duplicates;
pub mod format;
mod peaks;
mod sets;
pub mod subjects;
mod vitpose;

pub use duplicates::oks;
pub use sets::scheme;

use percept_core::{Arch, Pose};

/// The architectures of this task.
pub const ARCHS: &[Arch<Pose>] =
    &[Arch { name: "vitpose", identifiers: &["VitPoseForPoseEstimation", "vitpose"], load: vitpose::load }];
