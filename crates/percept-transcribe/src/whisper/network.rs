//! The network of Whisper (Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak
//! Supervision", arXiv 2212.04356; upstream `whisper/model.py` and transformers'
//! `models/whisper/modeling_whisper.py`): a convolutional stem and a pre-norm Transformer encoder,
//! and a decoder that looks at it.

use percept_backbone::decode::Decoder as Search;
use percept_backbone::{
    Activation, AttentionNames, Block, BlockNames, BlockShape, Conv1d, Conv1dShape, Embedding, KeyValues,
    LayerNorm, Linear, Result, Tensor, Weights, WeightsError, both, for_layers,
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
#[derive(Debug)]
pub(super) struct Memory(Vec<KeyValues>);

/// A running decode.
#[derive(Debug)]
pub(super) struct State<'a> {
    caches: Vec<KeyValues>,
    memory: &'a Memory,
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
        for_layers(layers.len(), |layer| layers[layer].attention.remember(encoded)).map(Memory)
    }

    /// A decode that has seen nothing yet, of one row.
    pub(super) fn start<'a>(&self, memory: &'a Memory) -> Result<State<'a>> {
        let Shape { dim, decoder_heads: heads, .. } = self.shape;
        let device = self.positions.device().clone();
        let cache = || KeyValues::empty(1, heads, dim / heads, &device);
        let caches = self.layers.iter().map(|_| cache()).collect::<Result<_>>()?;
        Ok(State { caches, memory, position: 0 })
    }

    /// Feeds a prompt to a decode of one row: the states behind each position, `[1, tokens, dim]`.
    pub(super) fn feed(&self, prompt: &[u32], state: &mut State<'_>) -> Result<Tensor> {
        self.advance(prompt, 1, state)
    }

    /// Feeds the same number of tokens to each row: the states behind them, `[rows, tokens / rows, dim]`.
    fn advance(&self, tokens: &[u32], rows: usize, state: &mut State<'_>) -> Result<Tensor> {
        let mut x = self.embed(tokens, rows, state.position)?;
        for ((layer, cache), memory) in self.layers.iter().zip(&mut state.caches).zip(&state.memory.0) {
            x = layer.step(&x, cache, Some(memory))?;
        }
        state.position += tokens.len() / rows;
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
        for ((layer, cache), memory) in self.layers.iter().zip(&mut state.caches).zip(&memory.0) {
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
        let indices = Tensor::from_vec(tokens.to_vec(), (rows, time), first.device())?;
        let mut x = self.tokens.forward(&indices)?;
        if self.shape.scale_embedding {
            x = (x * (self.shape.dim as f64).sqrt())?;
        }
        x.broadcast_add(&first)
    }
}

impl<'a> Search for &'a Decoder {
    type State = State<'a>;

    fn step(&self, tokens: &[u32], state: &mut State<'a>) -> Result<Vec<f32>> {
        let states = self.advance(tokens, tokens.len(), state)?;
        self.head.forward_to_vec(&states)
    }

    fn select(&self, state: &mut State<'a>, rows: &[usize]) -> Result<()> {
        let indices = rows.iter().map(|row| *row as u32).collect::<Vec<_>>();
        let device = self.positions.device().clone();
        let indices = Tensor::from_vec(indices, rows.len(), &device)?;
        for cache in &mut state.caches {
            *cache = cache.select(&indices)?;
        }
        Ok(())
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
