//! A layer: attention over a smaller map, and an MLP with a convolution in it.

use candle_core::Tensor;

use super::{EPS, StageShape, names};
use crate::activation::Activation;
use crate::attention::CrossAttention;
use crate::depthwise::Depthwise;
use crate::linear::Linear;
use crate::norm::LayerNorm;
use crate::weights::{Weights, WeightsError};
use crate::{Result, ToContiguous};

/// One layer. Norms come before attention and MLP.
#[derive(Debug)]
pub(super) struct Layer {
    attention_norm: LayerNorm,
    attention: CrossAttention,
    reduction: Option<Reduction>,
    mlp_norm: LayerNorm,
    mlp: MixMlp,
}

impl Layer {
    pub(super) fn load(
        weights: &Weights,
        shape: &StageShape,
        activation: Activation,
    ) -> Result<Self, WeightsError> {
        let &StageShape { dim, heads, reduction, .. } = shape;
        let norm = |name: &str| LayerNorm::load(&weights.at(name), dim, EPS);
        let attention = weights.at("attention");
        Ok(Self {
            attention_norm: norm("layernorm_before")?,
            attention: CrossAttention::load(&attention, names::MATRICES, dim, heads)?,
            reduction: match reduction {
                1 => None,
                side => Some(Reduction::load(&attention.at("sequence_reduction"), dim, side)?),
            },
            mlp_norm: norm("layernorm_after")?,
            mlp: MixMlp::load(&weights.at("mlp"), shape, activation)?,
        })
    }

    /// Tokens `[batch, height * width, dim]` to the same.
    pub(super) fn forward(&self, x: &Tensor, size: [usize; 2]) -> Result<Tensor> {
        let normed = self.attention_norm.forward(x)?;
        let memory = match &self.reduction {
            Some(reduction) => reduction.forward(&normed, size)?,
            None => normed.clone(),
        };
        let memory = self.attention.remember(&memory)?;
        let x = self.attention.over_memory(&normed, &memory, x)?;
        self.mlp.forward_onto(&self.mlp_norm.forward(&x)?, size, &x)
    }
}

/// A convolution whose kernel is as large as its stride, then a norm: one token for each square of tokens. Tokens at
/// the lower and right edge that fill no square are left out.
#[derive(Debug)]
struct Reduction {
    squares: Linear,
    side: usize,
    norm: LayerNorm,
}

impl Reduction {
    fn load(weights: &Weights, dim: usize, side: usize) -> Result<Self, WeightsError> {
        let convolution = weights.at("sequence_reduction");
        let weight = convolution.get("weight", &[dim, dim, side, side])?;
        let bias = convolution.get("bias", &[dim])?;
        // Tokens lie channel by channel: so must the weight that multiplies a square of them.
        let squares = weight
            .permute([0, 2, 3, 1])
            .and_then(|weight| weight.to_contiguous()?.reshape((dim, side * side * dim)))
            .and_then(|weight| Linear::new(&weight, Some(bias), weights.precision()))
            .map_err(WeightsError::Engine)?;
        Ok(Self { squares, side, norm: LayerNorm::load(&weights.at("layer_norm"), dim, EPS)? })
    }

    /// `[batch, height * width, dim]` to `[batch, height / side * width / side, dim]`.
    fn forward(&self, x: &Tensor, [height, width]: [usize; 2]) -> Result<Tensor> {
        let (batch, _, dim) = x.dims3()?;
        let side = self.side;
        let (rows, columns) = (height / side, width / side);
        if rows * columns == 0 {
            candle_core::bail!("a map of {height} by {width} holds no square of {side}");
        }
        let squares = x
            .reshape((batch, height, width, dim))?
            .narrow(1, 0, rows * side)?
            .narrow(2, 0, columns * side)?
            .to_contiguous()?
            .reshape(&[batch, rows, side, columns, side, dim][..])?
            .permute([0, 1, 3, 2, 4, 5])?
            .to_contiguous()?
            .reshape((batch, rows * columns, side * side * dim))?;
        self.norm.forward(&self.squares.forward(&squares)?)
    }
}

/// Mix-FFN: two matrices with a depthwise convolution between them.
#[derive(Debug)]
struct MixMlp {
    up: Linear,
    depthwise: Depthwise,
    down: Linear,
    activation: Activation,
}

impl MixMlp {
    fn load(weights: &Weights, shape: &StageShape, activation: Activation) -> Result<Self, WeightsError> {
        let &StageShape { dim, hidden, .. } = shape;
        Ok(Self {
            up: Linear::load(&weights.at("fc1"), dim, hidden)?,
            depthwise: Depthwise::load(&weights.at("dwconv.dwconv"), hidden, 3)?,
            down: Linear::load(&weights.at("fc2"), hidden, dim)?,
            activation,
        })
    }

    /// Of tokens `[batch, height * width, dim]`, added to `residual`.
    fn forward_onto(&self, x: &Tensor, [height, width]: [usize; 2], residual: &Tensor) -> Result<Tensor> {
        let wide = self.up.forward(x)?;
        let (batch, _, hidden) = wide.dims3()?;
        let map = wide.reshape((batch, height, width, hidden))?;
        let mixed = self.depthwise.forward_activated(&map, Some(self.activation))?;
        self.down.forward_onto(&mixed.flatten(1, 2)?, residual)
    }
}

/// `[batch, height * width, channels]` to `[batch, channels, height, width]`.
pub(super) fn to_maps(tokens: &Tensor, [height, width]: [usize; 2]) -> Result<Tensor> {
    let (batch, _, channels) = tokens.dims3()?;
    tokens.transpose(1, 2)?.to_contiguous()?.reshape((batch, channels, height, width))
}

/// `[batch, channels, height, width]` to `[batch, height * width, channels]`.
pub(super) fn to_tokens(maps: &Tensor) -> Result<Tensor> {
    maps.flatten_from(2)?.transpose(1, 2)?.to_contiguous()
}
