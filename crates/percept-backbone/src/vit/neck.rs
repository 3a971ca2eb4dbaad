//! The neck of SAM's image encoder.

use candle_core::Tensor;
use percept_kernels::ConvShape;

use crate::conv2d::Conv2d;
use crate::linear::Linear;
use crate::norm::LayerNorm;
use crate::weights::{Weights, WeightsError};
use crate::{Result, ToContiguous};

/// From tokens to a feature map of fewer channels: two convolutions, of 1 and of 3 pixels, each with a norm over
/// channels (Li et al. 2022, "Exploring Plain Vision Transformer Backbones", arXiv 2203.16527; `SamVisionNeck`).
#[derive(Debug)]
pub struct Neck {
    narrow: Linear,
    narrow_norm: LayerNorm,
    mix: Conv2d,
    mix_norm: LayerNorm,
}

impl Neck {
    /// Loads `conv1`, `layer_norm1`, `conv2` and `layer_norm2`, from `dim` to `channels`.
    pub fn load(weights: &Weights, dim: usize, channels: usize) -> Result<Self, WeightsError> {
        /// Not in the configuration: `SamLayerNorm` is made without one.
        const EPS: f64 = 1e-6;
        let norm = |name| LayerNorm::load(&weights.at(name), channels, EPS);
        let mix = ConvShape { padding: [1, 1], ..ConvShape::square(channels, channels, 3) };
        Ok(Self {
            narrow: Linear::load_pointwise(&weights.at("conv1"), dim, channels)?,
            narrow_norm: norm("layer_norm1")?,
            mix: Conv2d::load(&weights.at("conv2"), mix)?,
            mix_norm: norm("layer_norm2")?,
        })
    }

    /// `[batch, rows * columns, dim]`, row by row, to `[batch, rows, columns, channels]`.
    pub fn forward(&self, tokens: &Tensor, [rows, columns]: [usize; 2]) -> Result<Tensor> {
        let narrow = self.narrow_norm.forward(&self.narrow.forward(tokens)?)?;
        let (batch, _, channels) = narrow.dims3()?;
        let map = narrow.transpose(1, 2)?.to_contiguous()?.reshape((batch, channels, rows, columns))?;
        self.mix_norm.forward(&self.mix.forward(&map)?.permute([0, 2, 3, 1])?.to_contiguous()?)
    }
}
