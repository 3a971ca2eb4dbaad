//! What models share that answer with queries, each a mask and a class (MaskFormer, Cheng et al. 2021, arXiv
//! 2107.06278, and its kin): from the logits of queries to panoptic, instance and semantic segmentation.
//!
//! Masks are brought to the picture's size row by row ([`rows`]), so that a picture of 12 megapixels never meets all
//! queries at once; results are those of the image processors of transformers 5.23.0.

mod checkpoint;
#[cfg(test)]
pub(crate) mod fixture;
mod instance;
mod panoptic;
#[cfg(test)]
mod processed;
mod queries;
mod rows;
mod segmenter;
mod semantic;

pub(crate) use queries::Outputs;
use queries::Queries;
use rows::Projection;
pub(crate) use segmenter::{Network, Segmenter};

use percept_core::segment::Mask;

/// Whose image processor is followed; they differ in when a mask becomes a probability, and in what counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipe {
    /// `EomtImageProcessor`: logits are interpolated, a segment is cut to its own mask, instances to the picture's
    /// pixels.
    Eomt,
    /// `Mask2FormerImageProcessor`: masks are made 384 by 384 and become probabilities there; a segment has all pixels
    /// that it wins, and the masks of instances grow by whole pixels.
    Mask2Former,
}

/// A mask with its class.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Segment {
    /// The number of the class.
    pub(crate) label: usize,
    pub(crate) score: f32,
    pub(crate) mask: Mask,
}

/// Pixels of a mask's interior over the mask: `sigmoid(0)`.
const HALF: f32 = 0.5;
/// A segment that others leave no more of than this part of its own mask is dropped.
const OVERLAP: f32 = 0.8;

/// The logistic function.
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
