//! A layer of a Transformer: attention, perhaps attention over a memory, and an MLP, each with its
//! norm and its residual.

use candle_core::Tensor;

use crate::Result;
use crate::activation::Activation;
use crate::attention::{Attention, AttentionNames, CrossAttention, See};
use crate::decode_attention::Decode;
use crate::key_values::KeyValues;
use crate::linear::Linear;
use crate::mlp::{Experts, Mlp};
use crate::norm::LayerNorm;
use crate::relative::RelativePositions;
use crate::weights::{Weights, WeightsError};

/// How a checkpoint names the parts of a layer.
#[derive(Clone, Copy, Debug)]
pub struct BlockNames {
    /// The attention of the layer with itself.
    pub attention: &'static str,
    /// The norm that goes with it.
    pub attention_norm: &'static str,
    /// The attention over a memory and its norm, where the layer has one.
    pub cross: Option<(&'static str, &'static str)>,
    /// The first matrix of the MLP.
    pub up: &'static str,
    /// The second matrix of the MLP.
    pub down: &'static str,
    /// The matrix whose activated output gates that of `up`, where the MLP has one.
    pub gate: Option<&'static str>,
    /// The norm that goes with the MLP.
    pub mlp_norm: &'static str,
    /// The factors by channel of the attention's and of the MLP's output, where the layer has them
    /// (layer scale, Touvron et al. 2021, arXiv 2103.17239).
    pub scales: Option<(&'static str, &'static str)>,
    /// The matrices of both attentions.
    pub matrices: AttentionNames,
}

/// What differs between the layers of two architectures in numbers. It has no default: each of them
/// changes results.
#[derive(Clone, Copy, Debug)]
pub struct BlockShape {
    /// Channels.
    pub dim: usize,
    /// Heads of both attentions.
    pub heads: usize,
    /// Channels inside the MLP.
    pub hidden: usize,
    /// Of the MLP.
    pub activation: Activation,
    /// Of the norms.
    pub eps: f64,
}

/// Attention over a memory, with its norm.
#[derive(Clone, Debug)]
pub struct Cross {
    /// The attention, whose `remember` computes the memory's keys and values.
    pub attention: CrossAttention,
    norm: LayerNorm,
}

/// Where the norm of a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Norms {
    /// `x + part(norm(x))` (pre-norm).
    Before,
    /// `norm(x + part(x))` (post-norm), as BERT and BART.
    After,
}

/// A layer that normalises before each part (pre-norm), or behind it ([`Block::normalising_after`]).
#[derive(Clone, Debug)]
pub struct Block {
    norms: Norms,
    attention: Attention,
    attention_norm: LayerNorm,
    cross: Option<Cross>,
    mlp: Mlp,
    mlp_norm: LayerNorm,
}

impl Block {
    /// Loads a layer.
    pub fn load(weights: &Weights, names: BlockNames, shape: BlockShape) -> Result<Self, WeightsError> {
        Self::load_experts(weights, names, shape, None)
    }

    /// Loads a layer whose MLP may have experts (`mlp.experts`). Such a layer has neither gate nor scales.
    pub fn load_experts(
        weights: &Weights,
        names: BlockNames,
        shape: BlockShape,
        experts: Option<&Experts>,
    ) -> Result<Self, WeightsError> {
        Self::load_all(weights, names, shape, (experts, shape.dim))
    }

    /// Loads a layer whose memory has `memory` channels.
    pub fn load_decoding(
        weights: &Weights,
        names: BlockNames,
        shape: BlockShape,
        memory: usize,
    ) -> Result<Self, WeightsError> {
        Self::load_all(weights, names, shape, (None, memory))
    }

    fn load_all(
        weights: &Weights,
        names: BlockNames,
        shape: BlockShape,
        (experts, memory): (Option<&Experts>, usize),
    ) -> Result<Self, WeightsError> {
        let norms = Norms::Before;
        let BlockShape { dim, heads, hidden, activation, eps } = shape;
        let norm = |name| LayerNorm::load(&weights.at(name), dim, eps);
        let cross = match names.cross {
            Some((name, cross_norm)) => Some(Cross {
                attention: CrossAttention::load_wide(
                    &weights.at(name),
                    names.matrices,
                    [dim, memory],
                    heads,
                )?,
                norm: norm(cross_norm)?,
            }),
            None => None,
        };
        let up = Linear::load(&weights.at(names.up), dim, hidden)?;
        let mut attention = Attention::load(&weights.at(names.attention), names.matrices, dim, heads)?;
        if let Some(experts) = experts {
            let stand = (&weights.at(names.down), &weights.at("mlp.experts"));
            return Ok(Self {
                norms,
                attention,
                attention_norm: norm(names.attention_norm)?,
                cross,
                mlp: Mlp::load_experts(up, stand, (hidden, dim), activation, experts)?,
                mlp_norm: norm(names.mlp_norm)?,
            });
        }
        let mut down = Linear::load(&weights.at(names.down), hidden, dim)?;
        if let Some((of_attention, of_mlp)) = names.scales {
            let factors = |name| weights.get(name, &[dim]);
            attention = attention.scaled_by(&factors(of_attention)?).map_err(WeightsError::Engine)?;
            down = down.scaled_by(&factors(of_mlp)?).map_err(WeightsError::Engine)?;
        }
        let mlp = match names.gate {
            Some(gate) => Mlp::gated(Linear::load(&weights.at(gate), dim, hidden)?, up, down, activation),
            None => Mlp::new(up, down, activation),
        };
        Ok(Self {
            norms,
            attention,
            attention_norm: norm(names.attention_norm)?,
            cross,
            mlp,
            mlp_norm: norm(names.mlp_norm)?,
        })
    }

    /// The same with the norm of each part behind its residual (post-norm).
    pub fn normalising_after(self) -> Self {
        Self { norms: Norms::After, ..self }
    }

    /// The same with relative positions for [`Block::forward_on_map`].
    pub fn with_relative_positions(self, relative: RelativePositions) -> Self {
        Self { attention: self.attention.with_relative_positions(relative), ..self }
    }

    /// As a layer of an encoder of maps `[batch, height, width, dim]`, with attention in windows of `window` tokens a
    /// side or over the whole map.
    pub fn forward_on_map(&self, x: &Tensor, window: Option<usize>) -> Result<Tensor> {
        self.feed_forward(&self.attend(x, |x, residual| self.attention.over_map(x, window, None, residual))?)
    }

    /// As a layer of an encoder: `[batch, time, dim]` to the same.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_seeing(See::All, x)
    }

    /// [`Block::forward`] by one of the MLP's experts, as [`Mlp::forward_onto_by`] counts them.
    pub fn forward_by(&self, x: &Tensor, expert: usize) -> Result<Tensor> {
        let x = self.attend(x, |x, residual| self.attention.over_itself(x, See::All, residual))?;
        self.part(&self.mlp_norm, &x, |x, residual| self.mlp.forward_onto_by(x, residual, expert))
    }

    /// As a layer of an encoder in which no position sees what comes after it.
    pub fn forward_causal(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_seeing(See::Past, x)
    }

    fn forward_seeing(&self, see: See, x: &Tensor) -> Result<Tensor> {
        self.feed_forward(&self.attend(x, |x, residual| self.attention.over_itself(x, see, residual))?)
    }

    /// [`Block::forward`] with numbers added to the scores of the attention: `[batch or 1, heads or 1, time, time]`, the
    /// last dimension the keys.
    pub fn forward_biased(&self, x: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let x = self.attend(x, |x, residual| self.attention.over_itself_biased(x, bias, residual))?;
        self.feed_forward(&x)
    }

    /// As a layer of a decoder: new positions `[batch, new, dim]`, the cache of those before, and
    /// the memory, where the layer looks at one.
    pub fn step(&self, x: &Tensor, cache: &mut KeyValues, memory: Option<&KeyValues>) -> Result<Tensor> {
        let mut x = self.over_past(x, cache, See::Past)?;
        if let (Some(cross), Some(memory)) = (&self.cross, memory) {
            x = self.part(&cross.norm, &x, |x, residual| cross.attention.over_memory(x, memory, residual))?;
        }
        self.feed_forward(&x)
    }

    /// [`Block::step`] for a prefix, `[batch, new, dim]`, whose positions all see each other. Without a memory.
    pub fn step_prefix(&self, x: &Tensor, cache: &mut KeyValues) -> Result<Tensor> {
        self.feed_forward(&self.over_past(x, cache, See::All)?)
    }

    /// [`Block::step`] for several decodes, each with a cache and a memory of its own, that are fed a position each:
    /// `[rows of all, 1, dim]`, the rows of a decode side by side. The matrices meet all rows at once.
    pub fn step_together(&self, x: &Tensor, decodes: &mut [Decode<'_>]) -> Result<Tensor> {
        let mut x = self.attend(x, |x, residual| self.attention.over_pasts(x, decodes, residual))?;
        if let Some(cross) = &self.cross {
            x = self
                .part(&cross.norm, &x, |x, residual| cross.attention.over_memories(x, decodes, residual))?;
        }
        self.feed_forward(&x)
    }

    /// Whether [`Block::step_together`] gives each row the bits that it gets alone, on this machine.
    pub fn rows_are_independent(&self) -> bool {
        let cross = self.cross.as_ref().is_none_or(|cross| cross.attention.rows_are_independent());
        self.attention.rows_are_independent() && cross && self.mlp.rows_are_independent()
    }

    /// [`Block::step`] that also tells how much each position looks at each position of the memory,
    /// `[batch, heads, time, positions]`.
    pub fn step_with_gaze(
        &self,
        x: &Tensor,
        cache: &mut KeyValues,
        memory: &KeyValues,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let mut x = self.over_past(x, cache, See::Past)?;
        let mut gaze = None;
        if let Some(cross) = &self.cross {
            x = self.part(&cross.norm, &x, |x, residual| {
                gaze = Some(cross.attention.gaze(x, memory)?);
                cross.attention.over_memory(x, memory, residual)
            })?;
        }
        Ok((self.feed_forward(&x)?, gaze))
    }

    /// The attention over a memory, where the layer has one.
    pub fn cross(&self) -> Option<&Cross> {
        self.cross.as_ref()
    }

    fn over_past(&self, x: &Tensor, cache: &mut KeyValues, see: See) -> Result<Tensor> {
        self.attend(x, |x, residual| self.attention.over_past_seeing(x, cache, see, residual))
    }

    fn attend(&self, x: &Tensor, work: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>) -> Result<Tensor> {
        self.part(&self.attention_norm, x, work)
    }

    fn feed_forward(&self, x: &Tensor) -> Result<Tensor> {
        self.part(&self.mlp_norm, x, |x, residual| self.mlp.forward_onto(x, residual))
    }

    /// A part of the layer with its norm; `work` gets what it works on and the residual that it adds.
    fn part(
        &self,
        norm: &LayerNorm,
        x: &Tensor,
        work: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        match self.norms {
            Norms::Before => work(&norm.forward(x)?, x),
            Norms::After => norm.forward(&work(x, x)?),
        }
    }
}
