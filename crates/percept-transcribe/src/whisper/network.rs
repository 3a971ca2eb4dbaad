//! The network of Whisper (Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak
//! Supervision", arXiv 2212.04356; upstream `whisper/model.py` and transformers'
//! `models/whisper/modeling_whisper.py`): a convolutional stem and a pre-norm Transformer encoder,
//! and a decoder that looks at it.

use std::sync::Arc;

use percept_backbone::decode::{Decoder as Search, Feed};
use percept_backbone::{
    Activation, AttentionNames, Block, BlockNames, BlockShape, Conv1d, Conv1dShape, Decode, Device,
    Embedding, KeyValues, LayerNorm, Linear, Result, Tensor, Weights, WeightsError, both, for_layers,
};

use super::config::Shape;

const EPS: f64 = 1e-5;

const ENCODER_LAYER: BlockNames = BlockNames {
    attention: "self_attn",
    attention_norm: "self_attn_layer_norm",
    cross: None,
    up: "fc1",
    down: "fc2",
    gate: None,
    scales: None,
    mlp_norm: "final_layer_norm",
    matrices: AttentionNames::PROJ,
};

const DECODER_LAYER: BlockNames =
    BlockNames { cross: Some(("encoder_attn", "encoder_attn_layer_norm")), ..ENCODER_LAYER };

/// Mel frames to states.
#[derive(Debug)]
pub(super) struct Encoder {
    stem: [Conv1d; 2],
    activation: Activation,
    positions: Embedding,
    layers: Vec<Block>,
    norm: LayerNorm,
    length: usize,
}

impl Encoder {
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let conv = |name, input, stride| {
            let shape = Conv1dShape { input, output: shape.dim, kernel: 3, stride, padding: 1 };
            Conv1d::load(&weights.at(name), shape)
        };
        let block = BlockShape {
            dim: shape.dim,
            heads: shape.encoder_heads,
            hidden: shape.encoder_hidden,
            activation: shape.activation,
            eps: EPS,
        };
        let layers = load_layers(weights, shape.encoder_layers, ENCODER_LAYER, block)?;
        Ok(Self {
            stem: [conv("conv1", shape.mel_bins, 1)?, conv("conv2", shape.dim, 2)?],
            // The stem's GELU is the exact one whatever the layers use (transformers says so too).
            activation: Activation::GeluErf,
            positions: Embedding::load(&weights.at("embed_positions"), shape.source_positions, shape.dim)?,
            layers,
            norm: LayerNorm::load(&weights.at("layer_norm"), shape.dim, EPS)?,
            length: shape.source_positions,
        })
    }

    /// `[batch, frames, bins]` to `[batch, frames / 2, dim]`.
    pub(super) fn forward(&self, mel: &Tensor) -> Result<Tensor> {
        let mut x = self.embed(mel)?;
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        self.norm.forward(&x)
    }

    fn embed(&self, mel: &Tensor) -> Result<Tensor> {
        let [first, second] = &self.stem;
        let x = first.forward_activated(mel, self.activation)?;
        let (batch, dim) = (x.dim(0)?, x.dim(2)?);
        let positions = self.positions.rows(0, self.length)?.broadcast_as((batch, self.length, dim))?;
        second.forward_activated_onto(&x, self.activation, &positions)
    }
}

/// Tokens and states to the scores of the next token.
#[derive(Debug)]
pub(super) struct Decoder {
    tokens: Embedding,
    positions: Embedding,
    layers: Vec<Block>,
    norm: LayerNorm,
    head: Linear,
    shape: Shape,
}

/// The encoder's states as the decoder looks at them: keys and values by layer, computed once.
#[derive(Clone, Debug)]
pub(super) struct Memory(Arc<[KeyValues]>);

/// A running decode.
#[derive(Debug)]
pub(super) struct State {
    caches: Vec<KeyValues>,
    memory: Memory,
    position: usize,
}

impl Decoder {
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let block = BlockShape {
            dim: shape.dim,
            heads: shape.decoder_heads,
            hidden: shape.decoder_hidden,
            activation: shape.activation,
            eps: EPS,
        };
        let weights = &weights.for_few_rows();
        let (embedding, layers) = both(
            || Embedding::load_tied(&weights.at("embed_tokens"), shape.vocabulary, shape.dim),
            || load_layers(weights, shape.decoder_layers, DECODER_LAYER, block),
        );
        let ((tokens, head), layers) = (embedding?, layers?);
        Ok(Self {
            head,
            tokens,
            positions: Embedding::load(&weights.at("embed_positions"), shape.target_positions, shape.dim)?,
            layers,
            norm: LayerNorm::load(&weights.at("layer_norm"), shape.dim, EPS)?,
            shape: shape.clone(),
        })
    }

    /// The keys and values of encoded sound `[1, positions, dim]`.
    pub(super) fn remember(&self, encoded: &Tensor) -> Result<Memory> {
        let layers = self.layers.iter().filter_map(Block::cross).collect::<Vec<_>>();
        let layers = for_layers(layers.len(), |layer| layers[layer].attention.remember(encoded))?;
        Ok(Memory(layers.into()))
    }

    /// A decode that has seen nothing yet, of one row.
    pub(super) fn start(&self, memory: &Memory) -> Result<State> {
        let Shape { dim, decoder_heads: heads, .. } = self.shape;
        let cache = || KeyValues::empty(1, heads, dim / heads, self.device());
        let caches = self.layers.iter().map(|_| cache()).collect::<Result<_>>()?;
        Ok(State { caches, memory: memory.clone(), position: 0 })
    }

    /// Feeds a prompt to a decode of one row: the states behind each position, `[1, tokens, dim]`.
    pub(super) fn feed(&self, prompt: &[u32], state: &mut State) -> Result<Tensor> {
        self.advance(prompt, 1, state)
    }

    /// Feeds the same number of tokens to each row: the states behind them, `[rows, tokens / rows, dim]`.
    fn advance(&self, tokens: &[u32], rows: usize, state: &mut State) -> Result<Tensor> {
        let mut x = self.embed(tokens, rows, state.position)?;
        for ((layer, cache), memory) in self.layers.iter().zip(&mut state.caches).zip(&*state.memory.0) {
            x = layer.step(&x, cache, Some(memory))?;
        }
        state.position += tokens.len() / rows;
        self.norm.forward(&x)
    }

    /// Feeds one token to each row of several decodes: the states behind them, `[rows of all, 1, dim]`.
    fn advance_together(&self, feeds: &mut [Feed<'_, State>]) -> Result<Tensor> {
        let tokens = feeds.iter().flat_map(|feed| feed.tokens).copied().collect::<Vec<_>>();
        let positions = feeds.iter().flat_map(|feed| feed.tokens.iter().map(|_| feed.state.position as u32));
        let positions = Tensor::from_vec(positions.collect(), (tokens.len(), 1), self.device())?;
        let mut x = (self.look_up(&tokens, tokens.len())? + self.positions.forward(&positions)?)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let decodes = feeds.iter_mut().map(|Feed { tokens, state }| {
                let State { caches, memory, .. } = &mut **state;
                Decode { rows: tokens.len(), cache: &mut caches[index], memory: &memory.0[index] }
            });
            x = layer.step_together(&x, &mut decodes.collect::<Vec<_>>())?;
        }
        feeds.iter_mut().for_each(|feed| feed.state.position += 1);
        self.norm.forward(&x)
    }

    /// The scores behind some positions of states `[1, tokens, dim]`: `[positions, vocabulary]`.
    pub(super) fn scores(&self, states: &Tensor, positions: &[usize]) -> Result<Vec<Vec<f32>>> {
        let indices = positions.iter().map(|position| *position as u32).collect::<Vec<_>>();
        let indices = Tensor::from_vec(indices, positions.len(), states.device())?;
        self.head.forward(&states.squeeze(0)?.index_select(&indices, 0)?)?.to_vec2()
    }

    /// Feeds tokens to a fresh decode and tells how the alignment heads look at the memory:
    /// the scores `[tokens, vocabulary]` and, by head, `[tokens, positions]`.
    pub(super) fn trace(
        &self,
        tokens: &[u32],
        memory: &Memory,
        heads: &[(usize, usize)],
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let mut state = self.start(memory)?;
        let mut x = self.embed(tokens, 1, 0)?;
        let mut gazes = Vec::with_capacity(self.layers.len());
        for ((layer, cache), memory) in self.layers.iter().zip(&mut state.caches).zip(&*memory.0) {
            let (next, gaze) = layer.step_with_gaze(&x, cache, memory)?;
            x = next;
            gazes.push(gaze);
        }
        let scores = self.head.forward(&self.norm.forward(&x)?)?.squeeze(0)?;
        let of_head = |&(layer, head): &(usize, usize)| {
            let gaze = gazes.get(layer).and_then(Option::as_ref)?;
            (head < self.shape.decoder_heads).then(|| gaze.get(0).and_then(|gaze| gaze.get(head)))
        };
        Ok((scores, heads.iter().filter_map(of_head).collect::<Result<_>>()?))
    }

    /// `[rows, tokens / rows, dim]`, at positions from `position` on.
    fn embed(&self, tokens: &[u32], rows: usize, position: usize) -> Result<Tensor> {
        let time = tokens.len() / rows;
        let first = self.positions.rows(position, time)?;
        self.look_up(tokens, rows)?.broadcast_add(&first)
    }

    /// `[rows, tokens / rows, dim]`, without positions.
    fn look_up(&self, tokens: &[u32], rows: usize) -> Result<Tensor> {
        let indices = Tensor::from_vec(tokens.to_vec(), (rows, tokens.len() / rows), self.device())?;
        let x = self.tokens.forward(&indices)?;
        if self.shape.scale_embedding { x * (self.shape.dim as f64).sqrt() } else { Ok(x) }
    }

    fn device(&self) -> &Device {
        self.positions.device()
    }

    /// Whether decodes that go in step get the bits that each gets alone. Where they do not, they take their steps one
    /// after the other: no recording's text depends on those beside it.
    pub(super) fn goes_in_step(&self) -> bool {
        self.head.rows_are_independent() && self.layers.iter().all(Block::rows_are_independent)
    }

    /// Bytes that a decode of `rows` rows holds when it is as long as it gets: its memory and its past.
    pub(super) fn bytes_a_decode(&self, rows: usize) -> usize {
        let Shape { dim, source_positions, target_positions, decoder_layers, .. } = self.shape;
        2 * size_of::<f32>() * decoder_layers * dim * (source_positions + rows * target_positions)
    }
}

impl Search for Decoder {
    type State = State;

    fn step(&self, feeds: &mut [Feed<'_, State>], scores: &mut Vec<f32>) -> Result<()> {
        if let [Feed { tokens, state }] = feeds {
            return self.head.forward_into(&self.advance(tokens, tokens.len(), state)?, scores);
        }
        if self.goes_in_step() {
            return self.head.forward_into(&self.advance_together(feeds)?, scores);
        }
        let (mut all, mut own) = (Vec::new(), Vec::new());
        for feed in feeds.chunks_mut(1) {
            self.step(feed, &mut own)?;
            all.extend_from_slice(&own);
        }
        *scores = all;
        Ok(())
    }

    fn select(&self, state: &mut State, rows: &[usize]) -> Result<()> {
        state.caches.iter_mut().try_for_each(|cache| cache.select(rows))
    }
}

fn load_layers(
    weights: &Weights,
    count: usize,
    names: BlockNames,
    shape: BlockShape,
) -> Result<Vec<Block>, WeightsError> {
    let weights = weights.at("layers");
    for_layers(count, |layer| Block::load(&weights.at(layer.to_string()), names, shape))
}
