//! The Swin Transformer (Liu et al. 2021, "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
//! arXiv 2103.14030) as a backbone: `SwinBackbone` of transformers 5.23.0. Attention stays inside of windows, which are
//! shifted in every second layer, and from stage to stage the map has half the rows and columns and twice the channels.

mod config;
mod network;
mod windows;

pub use config::SwinConfig;
pub use network::Swin;
