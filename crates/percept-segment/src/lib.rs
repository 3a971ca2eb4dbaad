//! Image to mask: promptable, panoptic, instance and semantic segmentation, and the formats of masks.
//!
//! [`ARCHS`] lists the architectures, a module each.
#![forbid(unsafe_code)]

mod eomt;
mod mask2former;
mod sam;
mod sam2;
mod universal;

use percept_core::{Arch, Segment};

/// The architectures of this task.
pub const ARCHS: &[Arch<Segment>] = &[
    Arch { name: "eomt", identifiers: &["EomtForUniversalSegmentation", "eomt"], load: eomt::load },
    Arch {
        name: "mask2former",
        identifiers: &["Mask2FormerForUniversalSegmentation", "mask2former"],
        load: mask2former::load,
    },
];
