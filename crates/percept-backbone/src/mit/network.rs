//! The network itself.

use candle_core::Tensor;
use percept_kernels::ConvShape;

use super::layer::{Layer, to_maps, to_tokens};
use super::{EPS, MitConfig, StageShape, names};
use crate::Result;
use crate::activation::Activation;
use crate::conv2d::Conv2d;
use crate::norm::LayerNorm;
use crate::weights::{Weights, WeightsError};

/// A Mix Transformer, from pixels to feature maps.
#[derive(Debug)]
pub struct Mit {
    stages: Vec<Stage>,
}

#[derive(Debug)]
struct Stage {
    patches: Conv2d,
    norm_before: LayerNorm,
    layers: Vec<Layer>,
    norm_after: LayerNorm,
}

impl Mit {
    /// Loads a network. `weights` stand at its prefix (`segformer`, `glpn`); both generations of names are known.
    pub fn load(weights: &Weights, config: &MitConfig) -> Result<Self, WeightsError> {
        let weights = names::renamed(weights).at("stages");
        let mut channels = config.channels;
        let mut stages = Vec::with_capacity(config.stages.len());
        for (index, shape) in config.stages.iter().enumerate() {
            stages.push(Stage::load(&weights.at(index.to_string()), shape, channels, config.activation)?);
            channels = shape.dim;
        }
        Ok(Self { stages })
    }

    /// `[batch, 3, height, width]` to one map a stage, `[batch, dim, height, width]`, the largest first: a quarter, an
    /// eighth, a sixteenth and a 32nd of the image's sides for every published size, rounded up.
    pub fn maps(&self, pixel_values: &Tensor) -> Result<Vec<Tensor>> {
        let mut maps: Vec<Tensor> = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            maps.push(stage.forward(maps.last().unwrap_or(pixel_values))?);
        }
        Ok(maps)
    }
}

impl Stage {
    fn load(
        weights: &Weights,
        shape: &StageShape,
        channels: usize,
        activation: Activation,
    ) -> Result<Self, WeightsError> {
        let &StageShape { dim, patch, stride, .. } = shape;
        let patches = ConvShape::square(dim, channels, patch).stride(stride).padding(patch / 2);
        let embedding = weights.at("patch_embeddings");
        Ok(Self {
            patches: Conv2d::load(&embedding.at("proj"), patches)?,
            norm_before: LayerNorm::load(&embedding.at("layer_norm"), dim, EPS)?,
            layers: (0..shape.depth)
                .map(|layer| Layer::load(&weights.at(format!("blocks.{layer}")), shape, activation))
                .collect::<Result<_, _>>()?,
            norm_after: LayerNorm::load(&weights.at("layer_norm"), dim, EPS)?,
        })
    }

    /// `[batch, channels, ..]` to `[batch, dim, height, width]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let patches = self.patches.forward(x)?;
        let (_, _, height, width) = patches.dims4()?;
        let mut x = self.norm_before.forward(&to_tokens(&patches)?)?;
        for layer in &self.layers {
            x = layer.forward(&x, [height, width])?;
        }
        to_maps(&self.norm_after.forward(&x)?, [height, width])
    }
}
