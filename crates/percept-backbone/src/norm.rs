//! Layer normalisation.

use candle_core::{Device, Tensor};

use crate::Result;
use crate::cpu::LayerNormOp;
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
        let x = x.contiguous()?;
        match x.device() {
            Device::Cpu => x.apply_op3_no_bwd(&self.weight, &self.bias, &LayerNormOp { eps: self.eps }),
            _ => candle_nn::ops::layer_norm(&x, &self.weight, &self.bias, self.eps),
        }
    }
}
