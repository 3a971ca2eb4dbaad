//! SAM 2 and 2.1 (Ravi et al. 2024, arXiv 2408.00714), for pictures: prompts and decoder are SAM's
//! (`crate::sam`), the image encoder is a Hiera with a feature pyramid.

mod encoder;

pub(crate) use encoder::Sam2Encoder;
