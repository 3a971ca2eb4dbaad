//! A layer of a Hiera.

use candle_core::Tensor;

use super::config::{HieraBlockShape, HieraConfig};
use crate::Result;
use crate::attention::{Attention, AttentionNames};
use crate::linear::Linear;
use crate::mlp::Mlp;
use crate::norm::LayerNorm;
use crate::pool::max_pool_tokens;
use crate::weights::{Weights, WeightsError};

/// Attention in windows or over everything and an MLP, each behind a norm; the first layer of a stage has more channels
/// behind it than before, and the largest of each few tokens.
#[derive(Clone, Debug)]
pub struct HieraBlock {
    attention_norm: LayerNorm,
    attention: Attention,
    /// What goes around the attention where its channels change.
    around: Option<Linear>,
    mlp_norm: LayerNorm,
    mlp: Mlp,
    window: Option<usize>,
    stride: Option<[usize; 2]>,
}

impl HieraBlock {
    pub(super) fn load(
        weights: &Weights,
        config: &HieraConfig,
        shape: &HieraBlockShape,
    ) -> Result<Self, WeightsError> {
        let HieraBlockShape { dims: [input, output], heads, hidden, window, shrinks } = *shape;
        let names = AttentionNames { output: "proj", ..AttentionNames::PROJ };
        let stride = shrinks.then_some(config.stride);
        // Other windows would not lie side by side again.
        let divides =
            |side: usize| stride.is_none_or(|stride| stride.iter().all(|by| side.is_multiple_of(*by)));
        if !window.is_none_or(divides) || config.stride.contains(&0) {
            return Err(WeightsError::Format(format!(
                "windows of {window:?} tokens shrink by {:?}",
                config.stride
            )));
        }
        let up = Linear::load(&weights.at("mlp.proj_in"), output, hidden)?;
        let down = Linear::load(&weights.at("mlp.proj_out"), hidden, output)?;
        Ok(Self {
            attention_norm: LayerNorm::load(&weights.at("layer_norm1"), input, config.eps)?,
            attention: Attention::load_widening(&weights.at("attn"), names, [input, output], heads)?,
            around: match input == output {
                true => None,
                false => Some(Linear::load(&weights.at("proj"), input, output)?),
            },
            mlp_norm: LayerNorm::load(&weights.at("layer_norm2"), output, config.eps)?,
            mlp: Mlp::new(up, down, config.activation),
            window,
            stride,
        })
    }

    /// `[batch, height, width, channels]` to the same, or to fewer tokens of more channels.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let normed = self.attention_norm.forward(x)?;
        let around = match &self.around {
            Some(around) => around.forward(&normed)?,
            None => x.clone(),
        };
        let around = match (&self.around, self.stride) {
            (Some(_), Some(stride)) => max_pool_tokens(&around, stride)?,
            _ => around,
        };
        let x = self.attention.over_map(&normed, self.window, self.stride, &around)?;
        self.mlp.forward_onto(&self.mlp_norm.forward(&x)?, &x)
    }
}
