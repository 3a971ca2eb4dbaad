//! Image to mask: promptable, panoptic, instance and semantic segmentation, and the formats of masks.
//!
//! [`ARCHS`] lists the architectures, a module each.
#![forbid(unsafe_code)]

mod components;
pub mod format;
mod grabcut;
pub mod refine;
mod small_regions;

use percept_core::{Arch, Segment};

/// The architectures of this task.
pub const ARCHS: &[Arch<Segment>] =
    &[Arch { name: "grabcut", identifiers: &["grabcut"], load: grabcut::load }];
