//! The position-wise part of a Transformer layer.

use candle_core::Tensor;

use crate::Result;
use crate::activation::Activation;
use crate::linear::Linear;

/// Two matrices with a non-linearity between them, or three where the middle is gated.
#[derive(Clone, Debug)]
pub struct Mlp {
    up: Linear,
    down: Linear,
    activation: Activation,
    gate: Option<Linear>,
}

impl Mlp {
    /// `down(activation(up(x)))`.
    pub fn new(up: Linear, down: Linear, activation: Activation) -> Self {
        Self { up, down, activation, gate: None }
    }

    /// `down(activation(gate(x)) * up(x))`: SwiGLU where the activation is SiLU.
    pub fn gated(gate: Linear, up: Linear, down: Linear, activation: Activation) -> Self {
        Self { up, down, activation, gate: Some(gate) }
    }

    /// Of `x` `[.., dim]`, added to `residual`.
    pub fn forward_onto(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        if let Some(gate) = &self.gate {
            let hidden = (gate.forward_activated(x, self.activation)? * self.up.forward(x)?)?;
            return self.down.forward_onto(&hidden, residual);
        }
        self.up.mlp_onto(self.activation, &self.down, x, residual)
    }

    /// See [`Linear::rows_are_independent`].
    pub(crate) fn rows_are_independent(&self) -> bool {
        [Some(&self.up), Some(&self.down), self.gate.as_ref()]
            .into_iter()
            .flatten()
            .all(Linear::rows_are_independent)
    }
}
