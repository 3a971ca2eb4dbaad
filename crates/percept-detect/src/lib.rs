//! Image to boxes: a module an architecture, and what they share: from a network's answers to boxes in the picture
//! (`detector`, `scores`), and what is kept of them ([`Chosen`]).
//!
//! [`ARCHS`] lists the architectures.
#![forbid(unsafe_code)]

mod chosen;
mod detector;
mod scores;

pub use chosen::Chosen;

use percept_core::{Arch, Detect};

/// The architectures of this task.
pub const ARCHS: &[Arch<Detect>] = &[];
