//! Image to boxes: a module an architecture, and what they share: from a network's answers to boxes in the picture
//! (`detector`, `scores`), and what is kept of them ([`Chosen`]).
//!
//! [`ARCHS`] lists the architectures.
#![forbid(unsafe_code)]

mod chosen;
mod detector;
#[cfg(test)]
mod golden;
mod heads;
mod scores;
mod yolos;

pub use chosen::Chosen;

use percept_core::{Arch, Detect};

/// The architectures of this task.
pub const ARCHS: &[Arch<Detect>] =
    &[Arch { name: "yolos", identifiers: &["YolosForObjectDetection", "yolos"], load: yolos::load }];
