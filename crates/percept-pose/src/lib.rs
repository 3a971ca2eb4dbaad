//! Image to keypoints, top down: ViTPose.
//!
//! [`ARCHS`] lists the architectures.
#![forbid(unsafe_code)]

use percept_core::{Arch, Pose};

/// The architectures of this task.
pub const ARCHS: &[Arch<Pose>] = &[];
