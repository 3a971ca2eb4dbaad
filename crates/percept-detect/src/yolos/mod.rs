//! YOLOS (Fang et al. 2021, "You Only Look at One Sequence", arXiv 2106.00666), in any published size:
//! `YolosForObjectDetection` of transformers 5.23.0. A plain Vision Transformer with detection tokens behind its patches.

#[cfg(test)]
mod golden;
mod network;

use percept_core::{Detect, LocalModel, Model, Result, Runtime};

use crate::detector::Detector;

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Detect>>> {
    Detector::<network::Network>::load(local, runtime)
}
