//! Image to boxes: a module an architecture, and what they share: from a network's answers to boxes in the picture
//! (`detector`, `scores`), and what is kept of them ([`Chosen`]).
//!
//! [`ARCHS`] lists the architectures.
#![forbid(unsafe_code)]

mod boxes;
mod chosen;
mod detector;
mod grounding_dino;
mod rf_detr;
mod scores;

pub use chosen::Chosen;

use percept_core::{Arch, Detect};

/// The architectures of this task.
pub const ARCHS: &[Arch<Detect>] = &[
    Arch {
        name: "grounding-dino",
        identifiers: &["GroundingDinoForObjectDetection", "grounding-dino"],
        load: grounding_dino::load,
    },
    Arch {
        name: "rf-detr",
        identifiers: &["RfDetrForObjectDetection", "RfDetrForInstanceSegmentation", "rf_detr"],
        load: rf_detr::load,
    },
];
