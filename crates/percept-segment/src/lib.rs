//! Image to mask: promptable, panoptic, instance and semantic segmentation, and the formats of masks.
//!
//! [`ARCHS`] lists the architectures, a module each.
#![forbid(unsafe_code)]

mod components;
pub mod format;
mod sam;
mod sam2;

use percept_core::{Arch, Segment};

/// The architectures of this task.
pub const ARCHS: &[Arch<Segment>] = &[
    Arch { name: "sam", identifiers: &["SamModel", "sam"], load: sam::load },
    // Published checkpoints call themselves after the model for videos, whose part for pictures is this one.
    Arch {
        name: "sam2",
        identifiers: &["Sam2Model", "sam2", "Sam2VideoModel", "sam2_video"],
        load: sam2::load,
    },
];
