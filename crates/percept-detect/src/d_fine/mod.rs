//! D-FINE (Peng et al. 2024, "D-FINE: Redefine Regression Task in DETRs as Fine-grained Distribution Refinement", arXiv
//! 2410.13842), in any published size: `DFineForObjectDetection` of transformers 5.23.0. It is [RT-DETR](crate::rt_detr)
//! on an HGNetV2, with other convolutions in its encoder, whose [decoder] says of each edge of a box not where it is but
//! [how likely it is where](distribution), and refines that from layer to layer.

mod config;
mod decoder;
mod distribution;
#[cfg(test)]
mod golden;
mod network;

use percept_core::{Detect, LocalModel, Model, Result, Runtime};

use crate::detector::Detector;

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Detect>>> {
    Detector::<network::Network>::load(local, runtime)
}
