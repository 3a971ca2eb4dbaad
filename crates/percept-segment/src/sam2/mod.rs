//! SAM 2 and 2.1 (Ravi et al. 2024, arXiv 2408.00714), for pictures: prompts and decoder are SAM's
//! (`crate::sam`), the image encoder is a Hiera with a feature pyramid.

mod encoder;

use percept_core::{LocalModel, Model, Result, Runtime, Segment};

use crate::sam::Sam;
use crate::sam::config::Family;

pub(crate) use encoder::Sam2Encoder;

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Segment>>> {
    Ok(Box::new(Sam::load(local, runtime, Family::Sam2)?))
}
