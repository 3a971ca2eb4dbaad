//! RF-DETR (Robinson et al. 2025, arXiv 2511.09554), boxes and masks: any Hugging Face snapshot of
//! `RfDetrForObjectDetection` or `RfDetrForInstanceSegmentation`.
//!
//! An LW-DETR (Chen et al. 2024, arXiv 2406.03459) on a DINOv2 most of whose layers look only within windows. Tensors
//! have the names of Roboflow's checkpoints, which transformers keeps when it saves.

mod config;
mod decoder;
mod encoder;
#[cfg(test)]
mod golden;
mod masks;
mod network;
mod projector;

use percept_core::{Detect, LocalModel, Model, Result, Runtime};

use crate::detector::Detector;
use network::RfDetr;

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Detect>>> {
    Detector::<RfDetr>::load(local, runtime)
}
