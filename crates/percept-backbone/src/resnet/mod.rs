//! Residual networks (He et al. 2016, "Deep Residual Learning for Image Recognition", arXiv 1512.03385) as backbones:
//! the plain one of DETR (`ResNetBackbone` of transformers 5.23.0, and timm's `resnet18` to `resnet152`), and the one of
//! RT-DETR (`RTDetrResNetBackbone`), which is ResNet-D of "Bag of Tricks" (He et al. 2019, arXiv 1812.01187): three
//! small convolutions come first, and where a stage begins, the shortcut is an average instead of every second pixel.

mod config;
mod names;
mod network;

pub use config::{Layers, ResnetConfig};
pub use network::Resnet;
