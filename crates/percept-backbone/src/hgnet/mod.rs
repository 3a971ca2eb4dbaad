//! HGNetV2 of PaddleDetection as a backbone: `HGNetV2Backbone` of transformers 5.23.0, from B0 to B5. D-FINE (Peng et al.
//! 2024, arXiv 2410.13842) stands on it. A block keeps the output of each of its layers and mixes all of them in the end.

mod config;
mod network;

pub use config::{HgnetConfig, HgnetStage};
pub use network::Hgnet;
