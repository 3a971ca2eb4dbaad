//! Boxes `[batch, queries, 4]` (centre x, centre y, width, height; 0 to 1 over the image) and heads that move them.

use percept_backbone::{Activation, Linear, Result, Tensor, Weights, WeightsError};

/// Linear layers with ReLU between them (`RTDetrMLPPredictionHead`, `DFineMLP`).
#[derive(Debug)]
pub(crate) struct Head(Vec<Linear>);

impl Head {
    /// Of `layers.0` and so on; `widths` are the channels before, between and behind them.
    pub(crate) fn load(weights: &Weights, widths: &[usize]) -> Result<Self, WeightsError> {
        let layer = |(index, pair): (usize, &[usize])| {
            Linear::load(&weights.at(format!("layers.{index}")), pair[0], pair[1])
        };
        Ok(Self(widths.windows(2).enumerate().map(layer).collect::<Result<_, _>>()?))
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Some((last, before)) = self.0.split_last() else { return Ok(x.clone()) };
        let hidden = |x: Tensor, layer: &Linear| layer.forward_activated(&x, Activation::Relu);
        last.forward(&before.iter().try_fold(x.clone(), hidden)?)
    }
}

/// Boxes moved by what a head says of them, in the domain of the inverse of the sigmoid.
pub(crate) fn moved(boxes: &Tensor, by: &Tensor) -> Result<Tensor> {
    // They are few: plain numbers are as fast as tensors.
    let (parts, by) = (boxes.flatten_all()?.to_vec1::<f32>()?, by.flatten_all()?.to_vec1::<f32>()?);
    let made: Vec<f32> =
        parts.into_iter().zip(by).map(|(part, by)| sigmoid(by + inverse_sigmoid(part))).collect();
    Tensor::from_vec(made, boxes.shape(), boxes.device())
}

pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn inverse_sigmoid(x: f32) -> f32 {
    const EPS: f32 = 1e-5;
    let x = x.clamp(0.0, 1.0);
    (x.max(EPS) / (1.0 - x).max(EPS)).ln()
}
