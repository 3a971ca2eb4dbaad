//! Image to mask: promptable, panoptic, instance and semantic segmentation, and the formats of masks.
//!
//! [`ARCHS`] lists the architectures, a module each.
#![forbid(unsafe_code)]

mod components;
mod eomt;
pub mod format;
mod grabcut;
pub mod refine;
mod refined;
mod small_regions;
mod tiles;
mod universal;

pub use refined::Refined;
pub use tiles::Tiled;

use percept_core::{Arch, Segment};

/// The architectures of this task.
pub const ARCHS: &[Arch<Segment>] =
    &[Arch { name: "grabcut", identifiers: &["grabcut"], load: grabcut::load }];
