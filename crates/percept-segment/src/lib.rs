//! Image to mask: promptable, panoptic, instance and semantic segmentation, and the formats of masks.
//!
//! [`ARCHS`] lists the architectures, a module each.
#![forbid(unsafe_code)]

mod class_names;
mod clipseg;
#[cfg(test)]
mod golden;
mod label_map;
mod raw;
mod refusal;
mod segformer;
mod setting;

use percept_core::{Arch, Segment};

/// The architectures of this task.
pub const ARCHS: &[Arch<Segment>] = &[
    Arch { name: "clipseg", identifiers: &["CLIPSegForImageSegmentation", "clipseg"], load: clipseg::load },
    Arch { name: "segformer", identifiers: &["SegformerForSemanticSegmentation"], load: segformer::load },
];
