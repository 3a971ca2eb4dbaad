//! Masks of queries (`RfDetrForInstanceSegmentation`).

use percept_backbone::{
    Activation, Alignment, Depthwise, Filter, LayerNorm, Linear, Mlp, Result, Tensor, ToContiguous, Weights,
    WeightsError, products, resize,
};
use percept_core::Precision;

use super::config::{EPS, Shape};

/// A finer map, whose pixels are compared with queries.
#[derive(Debug)]
pub(super) struct MaskHead {
    blocks: Vec<Block>,
    pixels: Linear,
    query_norm: LayerNorm,
    query_mlp: Mlp,
    query: Linear,
    /// Added to every logit.
    bias: f64,
    /// Pixels of the image along a pixel of a mask.
    ratio: usize,
    activation: Activation,
    precision: Precision,
}

/// A layer of ConvNeXt without its second matrix.
#[derive(Debug)]
struct Block {
    around: Depthwise,
    norm: LayerNorm,
    mix: Linear,
}

impl MaskHead {
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        /// Of the norms on the map; no configuration states it.
        const MAP_EPS: f64 = 1e-6;
        let &Shape { dim, mask_inner, .. } = shape;
        let block = |index: usize| {
            let weights = weights.at(format!("blocks.{index}"));
            Ok(Block {
                around: Depthwise::load(&weights.at("dwconv"), dim, 3)?,
                norm: LayerNorm::load(&weights.at("norm"), dim, MAP_EPS)?,
                mix: Linear::load(&weights.at("pwconv1"), dim, dim)?,
            })
        };
        let query = weights.at("query_features_block");
        let up = Linear::load(&query.at("layers.0"), dim, mask_inner)?;
        let down = Linear::load(&query.at("layers.2"), mask_inner, dim)?;
        let bias = weights.get("bias", &[1])?.to_vec1::<f32>().map_err(WeightsError::Engine)?;
        Ok(Self {
            blocks: (0..shape.decoder_layers).map(block).collect::<Result<_, WeightsError>>()?,
            pixels: Linear::load_pointwise(&weights.at("spatial_features_proj"), dim, dim)?,
            query_norm: LayerNorm::load(&query.at("norm_in"), dim, EPS)?,
            query_mlp: Mlp::new(up, down, shape.mask_activation),
            query: Linear::load(&weights.at("query_features_proj"), dim, dim)?,
            bias: f64::from(bias[0]),
            ratio: shape.mask_ratio,
            activation: shape.mask_activation,
            precision: weights.precision(),
        })
    }

    /// The map `[batch, rows, columns, dim]` of images of `size` and queries `[batch, queries, dim]` to mask logits `[batch,
    /// queries, height / ratio, width / ratio]`.
    pub(super) fn forward(&self, map: &Tensor, states: &Tensor, size: [usize; 2]) -> Result<Tensor> {
        let planes = map.permute([0, 3, 1, 2])?.to_contiguous()?;
        let [rows, columns] = size.map(|side| side / self.ratio);
        let fine = resize(&planes, [rows, columns], Filter::Bilinear, Alignment::Edges)?;
        let mut fine = fine.permute([0, 2, 3, 1])?.to_contiguous()?;
        for Block { around, norm, mix } in &self.blocks {
            let mixed = norm.forward(&around.forward_activated(&fine, None)?)?;
            fine = mix.forward_activated_onto(&mixed, self.activation, &fine)?;
        }
        let pixels = self.pixels.forward(&fine.flatten(1, 2)?)?;
        let states = self.query_mlp.forward_onto(&self.query_norm.forward(states)?, states)?;
        let logits = products(&self.query.forward(&states)?, &pixels, self.precision)?;
        let (batch, queries, _) = logits.dims3()?;
        (logits + self.bias)?.reshape((batch, queries, rows, columns))
    }
}
