//! The position-wise part of a Transformer layer.

use candle_core::Tensor;

use crate::Result;
use crate::activation::Activation;
use crate::linear::Linear;

/// Two matrices with a non-linearity between them.
#[derive(Clone, Debug)]
pub struct Mlp {
    up: Linear,
    down: Linear,
    activation: Activation,
}

impl Mlp {
    /// From its two matrices.
    pub fn new(up: Linear, down: Linear, activation: Activation) -> Self {
        Self { up, down, activation }
    }

    /// Gets both matrices ready for many rows.
    pub fn prepare(&self) {
        [&self.up, &self.down].into_iter().for_each(Linear::prepare);
    }

    /// Of `x` `[.., dim]`, added to `residual`.
    pub fn forward_onto(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.down.forward_onto(&self.up.forward_activated(x, self.activation)?, residual)
    }
}
