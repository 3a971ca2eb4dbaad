//! Two point clouds to the rigid motion that takes one onto the other.
//!
//! A search without a guess ([`Start::Anywhere`](percept_core::register::Start)): key points, features, mutual matches, a
//! robust solver. Then a fine registration, coarse to fine: point to point, point to plane, GICP, VGICP, with colours.
//! Every sum is made in an order that depends neither on the order of the points nor on the number of threads.
//!
//! Start reading with `classic`, which puts the parts together.
#![forbid(unsafe_code)]

mod agree;
mod cells;
mod classic;
mod feature;
mod fine;
mod geometric;
mod geotransformer;
mod judge;
pub mod learned;
mod look;
mod matching;
mod motion;
mod pairing;
mod search;
mod sheet;
mod solve;
mod surface;
mod tree;
mod voxel;

use percept_core::{Arch, Register};

pub use classic::check;

/// What this crate can do.
pub const ARCHS: &[Arch<Register>] = &[
    Arch { name: "classic", identifiers: &["classic"], load: classic::load },
    Arch { name: "geotransformer", identifiers: &["geotransformer"], load: geotransformer::load },
];
