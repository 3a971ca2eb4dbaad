//! Image to mask: promptable, panoptic, instance and semantic segmentation, and the formats of masks.
//!
//! [`ARCHS`] lists the architectures, a module each.
#![forbid(unsafe_code)]

mod clipseg;
mod components;
mod eomt;
pub mod format;
mod grabcut;
mod label_map;
mod mask2former;
pub mod refine;
mod refined;
mod refusal;
mod sam;
mod sam2;
mod segformer;
mod small_regions;
#[cfg(test)]
mod testing;
mod tiles;
mod universal;

pub use refined::Refined;
pub use tiles::Tiled;

use percept_core::{Arch, Segment};

/// The architectures of this task.
pub const ARCHS: &[Arch<Segment>] = &[
    Arch { name: "clipseg", identifiers: &["CLIPSegForImageSegmentation", "clipseg"], load: clipseg::load },
    Arch { name: "eomt", identifiers: &["EomtForUniversalSegmentation", "eomt"], load: eomt::load },
    Arch { name: "grabcut", identifiers: &["grabcut"], load: grabcut::load },
    Arch {
        name: "mask2former",
        identifiers: &["Mask2FormerForUniversalSegmentation", "mask2former"],
        load: mask2former::load,
    },
    Arch { name: "sam", identifiers: &["SamModel", "sam"], load: sam::load },
    // Published checkpoints call themselves after the model for videos, whose part for pictures is this one.
    Arch {
        name: "sam2",
        identifiers: &["Sam2Model", "sam2", "Sam2VideoModel", "sam2_video"],
        load: sam2::load,
    },
    Arch { name: "segformer", identifiers: &["SegformerForSemanticSegmentation"], load: segformer::load },
];
