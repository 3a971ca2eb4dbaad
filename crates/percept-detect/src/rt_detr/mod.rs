//! RT-DETR (Zhao et al. 2023, "DETRs Beat YOLOs on Real-time Object Detection", arXiv 2304.08069) and RT-DETRv2 (Lv et al.
//! 2024, arXiv 2407.17140), in any published size: `RTDetrForObjectDetection` and `RTDetrV2ForObjectDetection` of
//! transformers 5.23.0. The maps of a ResNet-D mix in the [hybrid encoder](encoder); the [pixels that look most like
//! objects](selection) become queries, and each layer of the [decoder] moves their boxes a little.
//!
//! [D-FINE](crate::d_fine) has the same encoder, with other blocks, and the same selection.

mod aifi;
pub(crate) mod backbone;
pub(crate) mod boxes;
pub(crate) mod config;
mod decoder;
pub(crate) mod encoder;
pub(crate) mod fusion;
#[cfg(test)]
mod golden;
pub(crate) mod names;
mod network;
pub(crate) mod queries;
pub(crate) mod selection;

use percept_core::{Detect, LocalModel, Model, Result, Runtime};

use crate::detector::Detector;

/// Loads a checkpoint of either version.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Detect>>> {
    Detector::<network::Network>::load(local, runtime)
}
