//! The position-wise part of a Transformer layer.

use candle_core::Tensor;

use crate::Result;
use crate::activation::Activation;
use crate::linear::Linear;
use crate::weights::{Weights, WeightsError};

/// Two matrices with a non-linearity between them, or three where the middle is gated.
#[derive(Clone, Debug)]
pub struct Mlp {
    up: Linear,
    down: Linear,
    activation: Activation,
    gate: Option<Linear>,
    /// What gives the last channels of the output, one of them at a time; none where `down` gives all.
    experts: Vec<Linear>,
}

/// MLPs whose last output channels come from one of several matrices, which the caller chooses (ViTPose++, Xu et al.
/// 2022, arXiv 2212.04246: an expert a data set).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Experts {
    /// How many there are in the checkpoint.
    pub count: usize,
    /// The output channels that they give.
    pub features: usize,
    /// Those that will be used, by their numbers in the checkpoint. One alone costs nothing: it becomes a part of the
    /// matrix of the other channels.
    pub wanted: Vec<usize>,
}

impl Mlp {
    /// `down(activation(up(x)))`.
    pub fn new(up: Linear, down: Linear, activation: Activation) -> Self {
        Self { up, down, activation, gate: None, experts: Vec::new() }
    }

    /// `down(activation(gate(x)) * up(x))`: SwiGLU where the activation is SiLU.
    pub fn gated(gate: Linear, up: Linear, down: Linear, activation: Activation) -> Self {
        Self { up, down, activation, gate: Some(gate), experts: Vec::new() }
    }

    /// `down(activation(up(x)))`, of which the experts in `list` give the last channels. `down` and `list` are where
    /// these matrices stand; `dim` and `hidden` are the channels outside and inside.
    pub fn load_experts(
        up: Linear,
        (down, list): (&Weights, &Weights),
        (hidden, dim): (usize, usize),
        activation: Activation,
        experts: &Experts,
    ) -> Result<Self, WeightsError> {
        let &Experts { features, ref wanted, .. } = experts;
        let Some(shared) = dim.checked_sub(features).filter(|shared| *shared > 0 && features > 0) else {
            return Err(WeightsError::Format(format!(
                "config.json: `part_features` is {features}, of {dim} channels"
            )));
        };
        let at = |expert: &usize| list.at(expert.to_string());
        if let [only] = wanted.as_slice() {
            let parts = [(down.clone(), shared), (at(only), features)];
            let read = |(part, rows): &(Weights, usize)| {
                Ok::<_, WeightsError>((part.get("weight", &[*rows, hidden])?, part.get("bias", &[*rows])?))
            };
            let [first, last]: [(Tensor, Tensor); 2] = [read(&parts[0])?, read(&parts[1])?];
            let join = || {
                let (weight, bias) =
                    (Tensor::cat(&[first.0, last.0], 0)?, Tensor::cat(&[first.1, last.1], 0)?);
                Linear::new(&weight, Some(bias), down.precision())
            };
            return Ok(Self::new(up, join().map_err(WeightsError::Engine)?, activation));
        }
        let experts = wanted.iter().map(|expert| Linear::load(&at(expert), hidden, features));
        Ok(Self {
            experts: experts.collect::<Result<_, _>>()?,
            ..Self::new(up, Linear::load(down, hidden, shared)?, activation)
        })
    }

    /// [`Mlp::forward_onto`] by one of the experts, which is a place in [`Experts::wanted`]. An MLP without them, or
    /// with one, is the same by any.
    pub fn forward_onto_by(&self, x: &Tensor, residual: &Tensor, expert: usize) -> Result<Tensor> {
        if self.experts.is_empty() {
            return self.forward_onto(x, residual);
        }
        let Some(expert) = self.experts.get(expert) else {
            candle_core::bail!("expert {expert} of {}", self.experts.len());
        };
        let hidden = self.up.forward_activated(x, self.activation)?;
        let last = x.rank() - 1;
        Tensor::cat(&[self.down.forward(&hidden)?, expert.forward(&hidden)?], last)? + residual
    }

    /// Of `x` `[.., dim]`, added to `residual`; by the first of the experts where there are some.
    pub fn forward_onto(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        if !self.experts.is_empty() {
            return self.forward_onto_by(x, residual, 0);
        }
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
