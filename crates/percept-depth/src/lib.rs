//! Image to depth: a module an architecture.
//!
//! [`ARCHS`] lists the architectures. What they share: `estimator` makes a model of a network, `backbone` gives the states
//! of a Transformer's layers, `neck` makes maps of them, and `head` depth of a map. [`Tiled`] stands around any model, for
//! large pictures.
#![forbid(unsafe_code)]

mod backbone;
mod cloud;
mod depth_anything;
mod depth_pro;
mod dpt;
mod estimator;
#[cfg(test)]
mod fixture;
mod head;
mod neck;
mod tiles;
mod zoedepth;

pub use cloud::point_cloud;

use percept_core::{Arch, Depth};

use estimator::Estimator;
pub use tiles::Tiled;

/// The architectures of this task.
pub const ARCHS: &[Arch<Depth>] = &[
    Arch {
        name: "depth-anything",
        identifiers: &["DepthAnythingForDepthEstimation", "depth_anything"],
        load: Estimator::<depth_anything::Network>::load,
    },
    Arch {
        name: "depth-pro",
        identifiers: &["DepthProForDepthEstimation", "depth_pro"],
        load: Estimator::<depth_pro::Network>::load,
    },
    Arch {
        name: "dpt",
        identifiers: &["DPTForDepthEstimation", "dpt"],
        load: Estimator::<dpt::Network>::load,
    },
    Arch {
        name: "zoedepth",
        identifiers: &["ZoeDepthForDepthEstimation", "zoedepth"],
        load: Estimator::<zoedepth::Network>::load,
    },
];
