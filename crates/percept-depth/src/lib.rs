//! Image to depth: a module an architecture.
//!
//! [`ARCHS`] lists the architectures.
#![forbid(unsafe_code)]

use percept_core::{Arch, Depth};

/// The architectures of this task.
pub const ARCHS: &[Arch<Depth>] = &[];
