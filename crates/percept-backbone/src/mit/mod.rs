//! The Mix Transformer of SegFormer (Xie et al. 2021, arXiv 2105.15203): an image becomes feature maps of four sizes.
//!
//! It has no positions: the depthwise convolution inside each MLP tells tokens where they stand, so any image size goes.
//! Keys and values come from a map that was made smaller first. GLPN (depth) has the same encoder.

mod config;
mod layer;
mod names;
mod network;

pub use config::{MitConfig, StageShape};
pub use network::Mit;

/// Of every layer norm: PyTorch's own. The reference does not read `layer_norm_eps`.
const EPS: f64 = 1e-5;
