//! Image to mask: promptable, panoptic, instance and semantic segmentation, and the formats of masks.
//!
//! [`ARCHS`] lists the architectures, a module each.
#![forbid(unsafe_code)]

mod eomt;
mod sam;
mod sam2;
mod universal;

use percept_core::{Arch, Segment};

/// The architectures of this task.
pub const ARCHS: &[Arch<Segment>] = &[];
