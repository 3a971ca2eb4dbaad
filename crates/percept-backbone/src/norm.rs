//! Layer normalisation.

use candle_core::Tensor;

use crate::Result;
use crate::weights::{Weights, WeightsError};

/// Layer normalisation over the last dimension, with scale and shift.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

impl LayerNorm {
    /// Loads `weight` and `bias` of length `dim`. `eps` has no default: a wrong one changes numbers.
    pub fn load(weights: &Weights, dim: usize, eps: f64) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.get("weight", &[dim])?,
            bias: weights.get("bias", &[dim])?,
            eps: eps as f32,
        })
    }

    /// `[.., dim]` to `[.., dim]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::layer_norm(&x.contiguous()?, &self.weight, &self.bias, self.eps)
    }
}
