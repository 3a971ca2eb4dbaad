//! Image to boxes: a module an architecture, and what they share: from a network's answers to boxes in the picture
//! (`detector`, `scores`), and what is kept of them ([`Chosen`]).
//!
//! [`ARCHS`] lists the architectures.
#![forbid(unsafe_code)]

mod boxes;
mod chosen;
mod d_fine;
mod detector;
mod detr;
pub mod format;
#[cfg(test)]
mod golden;
mod grounding_dino;
mod heads;
mod merge;
mod rf_detr;
mod rt_detr;
mod scores;
mod tiles;
pub mod track;
mod yolos;

pub use chosen::Chosen;
pub use merge::Merge;
pub use tiles::{Tiled, View};

use percept_core::{Arch, Detect};

/// The architectures of this task.
pub const ARCHS: &[Arch<Detect>] = &[
    Arch { name: "detr", identifiers: &["DetrForObjectDetection", "detr"], load: detr::load },
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
    Arch { name: "yolos", identifiers: &["YolosForObjectDetection", "yolos"], load: yolos::load },
    Arch { name: "d-fine", identifiers: &["DFineForObjectDetection", "d_fine"], load: d_fine::load },
    Arch { name: "rt-detr", identifiers: &["RTDetrForObjectDetection", "rt_detr"], load: rt_detr::load },
    Arch {
        name: "rt-detr-v2",
        identifiers: &["RTDetrV2ForObjectDetection", "rt_detr_v2"],
        load: rt_detr::load,
    },
];
