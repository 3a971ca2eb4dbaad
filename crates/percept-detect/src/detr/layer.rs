//! The layers of encoder and decoder: positions are added to queries and keys, never to values, and each part is
//! followed by its norm.

use percept_backbone::{
    Activation, AttentionNames, LayerNorm, Linear, Mlp, Result, SourcedAttention, Tensor, Weights,
    WeightsError, add_to_each,
};

/// Of all norms, which no configuration states.
pub(super) const EPS: f64 = 1e-5;

/// What the layers of a stack have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) dim: usize,
    pub(super) heads: usize,
    pub(super) hidden: usize,
    pub(super) activation: Activation,
}

/// A layer of the encoder, or with `cross` of the decoder.
#[derive(Debug)]
pub(super) struct Layer {
    itself: Normed<SourcedAttention>,
    cross: Option<Normed<SourcedAttention>>,
    mlp: Normed<Mlp>,
}

/// A part, and the norm that follows it.
#[derive(Debug)]
struct Normed<P> {
    part: P,
    norm: LayerNorm,
}

/// What the decoder looks at: `[batch, places, dim]` each.
pub(super) struct Memory {
    pub(super) keys: Tensor,
    pub(super) values: Tensor,
}

impl Layer {
    /// Loads a layer; that of a decoder has an `encoder_attn`.
    pub(super) fn load(weights: &Weights, shape: Shape) -> Result<Self, WeightsError> {
        let Shape { dim, heads, hidden, activation } = shape;
        let norm = |name: &str| LayerNorm::load(&weights.at(format!("{name}_layer_norm")), dim, EPS);
        let attention = |name: &str| {
            let names = AttentionNames::PROJ;
            let part = SourcedAttention::load(&weights.at(name), names, [dim, dim], heads)?;
            Ok::<_, WeightsError>(Normed { part, norm: norm(name)? })
        };
        let cross = match weights.has("encoder_attn.q_proj.weight") {
            true => Some(attention("encoder_attn")?),
            false => None,
        };
        let up = Linear::load(&weights.at("fc1"), dim, hidden)?;
        let down = Linear::load(&weights.at("fc2"), hidden, dim)?;
        let mlp = Normed { part: Mlp::new(up, down, activation), norm: norm("final")? };
        Ok(Self { itself: attention("self_attn")?, cross, mlp })
    }

    /// States `[batch, tokens, dim]` at `positions` `[1, tokens, dim]`; a decoder looks at `memory`.
    pub(super) fn forward(
        &self,
        states: &Tensor,
        positions: &Tensor,
        memory: Option<&Memory>,
    ) -> Result<Tensor> {
        let placed = add_to_each(states, positions)?;
        let Normed { part, norm } = &self.itself;
        let mut states = norm.forward(&part.forward_onto(&placed, &placed, states, states)?)?;
        if let (Some(Normed { part, norm }), Some(Memory { keys, values })) = (&self.cross, memory) {
            let placed = add_to_each(&states, positions)?;
            states = norm.forward(&part.forward_onto(&placed, keys, values, &states)?)?;
        }
        let Normed { part, norm } = &self.mlp;
        norm.forward(&part.forward_onto(&states, &states)?)
    }
}
