//! EoMT (Kerssies et al. 2025, "Your ViT is Secretly an Image Segmentation Model", arXiv 2503.19108), in any published
//! size: `EomtForUniversalSegmentation` of transformers 5.23.0. A plain Vision Transformer whose last layers take the
//! queries among their tokens, and no decoder.

#[cfg(test)]
mod golden;
mod network;

use percept_core::{LocalModel, Model, Result, Runtime, Segment};

use crate::universal::Segmenter;

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Segment>>> {
    Segmenter::<network::Network>::load(local, runtime)
}
