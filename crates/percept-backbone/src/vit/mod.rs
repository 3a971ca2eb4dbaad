//! The plain Vision Transformer (Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", arXiv
//! 2010.11929): an image is cut into patches, each becomes a token, and pre-norm layers mix them.
//!
//! One [`Vit`] serves ViT, DeiT, DINOv2 (with and without registers), the image encoders of CLIP,
//! SigLIP, BLIP and SAM, BEiT, and the backbones of ViTPose, DPT, Depth Anything, EoMT, YOLOS and RF-DETR. What differs is
//! data: numbers in [`VitConfig`], the names of tensors in [`VitNames`]; [`VitConfig::of`] reads both
//! from a `config.json`. Numbers are those of transformers 5.23.0.

mod config;
mod names;
mod neck;
mod network;
mod patch;
mod positions;
mod relative_bias;

pub use config::{ClassToken, FinalNorm, Resampling, VitConfig, Windows};
pub use names::{Split, VitNames};
pub use neck::Neck;
pub use network::Vit;
pub use positions::Positions;
