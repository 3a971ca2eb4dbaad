//! Image to text: a module an architecture.
//!
//! [`ARCHS`] lists the architectures.
#![forbid(unsafe_code)]

use percept_core::{Arch, Caption};

/// The architectures of this task.
pub const ARCHS: &[Arch<Caption>] = &[];
