//! The small heads on the states of queries.

use percept_backbone::{Activation, Linear, Result, Tensor, Weights, WeightsError};

/// Linear layers with ReLU between them (`...MLPPredictionHead` of transformers).
#[derive(Debug)]
pub(crate) struct MlpHead(Vec<Linear>);

impl MlpHead {
    /// Loads `layers.0`, `layers.1`, ...; `widths` are the channels before, between and behind them.
    pub(crate) fn load(weights: &Weights, widths: &[usize]) -> Result<Self, WeightsError> {
        let layer = |(index, pair): (usize, &[usize])| {
            Linear::load(&weights.at(format!("layers.{index}")), pair[0], pair[1])
        };
        Ok(Self(widths.windows(2).enumerate().map(layer).collect::<Result<_, _>>()?))
    }

    /// `[.., first width]` to `[.., last width]`.
    pub(crate) fn forward(&self, states: &Tensor) -> Result<Tensor> {
        let Some((last, before)) = self.0.split_last() else { return Ok(states.clone()) };
        let hidden = |states: Tensor, layer: &Linear| layer.forward_activated(&states, Activation::Relu);
        last.forward(&before.iter().try_fold(states.clone(), hidden)?)
    }
}
