//! Mask2Former (Cheng et al. 2022, "Masked-attention Mask Transformer for Universal Image Segmentation", arXiv
//! 2112.01527) on a Swin Transformer, in any published size: `Mask2FormerForUniversalSegmentation` of transformers
//! 5.23.0. The backbone's maps go through the [pixel decoder](pixel_decoder); queries then look at its maps, each
//! [where its mask is so far](decoder).

mod config;
mod decoder;
#[cfg(test)]
mod golden;
mod network;
mod pixel_decoder;

use percept_core::{LocalModel, Model, Result, Runtime, Segment};

use crate::universal::Segmenter;

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Segment>>> {
    Segmenter::<network::Network>::load(local, runtime)
}
