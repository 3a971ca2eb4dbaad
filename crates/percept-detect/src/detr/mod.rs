//! DETR (Carion et al. 2020, "End-to-End Object Detection with Transformers", arXiv 2005.12872), in any published size:
//! `DetrForObjectDetection` of transformers 5.23.0. A residual network, a Transformer over its last map, and queries
//! that look at it.

#[cfg(test)]
mod golden;
mod layer;
mod network;

use percept_core::{Detect, LocalModel, Model, Result, Runtime};

use crate::detector::Detector;

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Detect>>> {
    Detector::<network::Network>::load(local, runtime)
}
