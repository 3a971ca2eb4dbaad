//! Image to depth: a module an architecture.
//!
//! [`ARCHS`] lists the architectures.
#![forbid(unsafe_code)]

mod cloud;

pub use cloud::point_cloud;

use percept_core::{Arch, Depth};

/// The architectures of this task.
pub const ARCHS: &[Arch<Depth>] = &[];
