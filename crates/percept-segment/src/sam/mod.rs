//! SAM, "Segment Anything" (Kirillov et al. 2023, arXiv 2304.02643), from any Hugging Face snapshot of `SamModel`; and
//! what SAM 2 has in common with it.

mod canvas;
pub(crate) mod config;
pub(crate) mod decoder;
mod encoder;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "helpers of tests are tests")]
mod golden;
mod network;
mod prompts;
mod two_way;
mod upsample;
