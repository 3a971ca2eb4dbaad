//! The small heads on the states of queries.

use percept_backbone::{Activation, Linear, Result, Tensor, Weights, WeightsError};

/// Linear layers with ReLU between them (`...MLPPredictionHead` of transformers).
#[derive(Debug)]
pub(crate) struct MlpHead {
    layers: Vec<Linear>,
}

impl MlpHead {
    /// Loads `layers.0`, `layers.1`, ...: `dims` has the channels that each takes, `output` is what the last
    /// gives.
    pub(crate) fn load<const N: usize>(
        weights: &Weights,
        dims: [usize; N],
        output: usize,
    ) -> Result<Self, WeightsError> {
        let ends = dims.iter().skip(1).copied().chain([output]);
        let layer = |(index, (input, output)): (usize, (&usize, usize))| {
            Linear::load(&weights.at(format!("layers.{index}")), *input, output)
        };
        Ok(Self { layers: dims.iter().zip(ends).enumerate().map(layer).collect::<Result<_, _>>()? })
    }

    /// `[.., dim]` to `[.., output]`.
    pub(crate) fn forward(&self, states: &Tensor) -> Result<Tensor> {
        let Some((last, others)) = self.layers.split_last() else { return Ok(states.clone()) };
        let mut states = states.clone();
        for layer in others {
            states = layer.forward_activated(&states, Activation::Relu)?;
        }
        last.forward(&states)
    }
}
