//! The one text decoder: tokens, one after the other, that see those before them and, by layers that look at a memory
//! or behind a prefix, a picture. BLIP, CoCa, GIT, GPT-2 and BART are this with other parts.

use std::sync::Arc;

use percept_backbone::decode::{Decoder, Feed};
use percept_backbone::{
    Activation, Block, BlockShape, CrossAttention, Device, Embedding, EngineError, KeyValues, LayerNorm,
    Linear, Mlp, Result, Tensor, Weights, WeightsError,
};

/// A text decoder, from tokens to the scores of the next. Its parts are loaded by the architectures.
#[derive(Debug)]
pub(crate) struct TextDecoder {
    pub(crate) tokens: Embedding,
    pub(crate) positions: Positions,
    /// Of tokens with their positions (BERT, BART).
    pub(crate) embedding_norm: Option<LayerNorm>,
    pub(crate) layers: Vec<Layer>,
    /// Behind the last layer, where layers normalise before their parts.
    pub(crate) norm: Option<LayerNorm>,
    /// Before the output matrix (BERT).
    pub(crate) transform: Option<Transform>,
    pub(crate) head: Linear,
    pub(crate) shape: CacheShape,
}

/// Learned positions.
#[derive(Debug)]
pub(crate) struct Positions {
    pub(crate) table: Embedding,
    /// Rows of the table before that of the first token (BART has two).
    pub(crate) first: usize,
    /// Tokens that a text may have.
    pub(crate) count: usize,
}

/// How wide the keys and values of a layer are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheShape {
    pub(crate) heads: usize,
    /// Channels of a head.
    pub(crate) dim: usize,
}

impl CacheShape {
    pub(crate) fn of(block: &BlockShape) -> Self {
        Self { heads: block.heads, dim: block.dim / block.heads }
    }
}

/// The table of tokens and the output matrix `[tokens, dim]`, which may be the same one.
pub(crate) fn vocabulary(
    table: &Weights,
    output: &Weights,
    [tokens, dim]: [usize; 2],
    tied: bool,
) -> Result<(Embedding, Linear), WeightsError> {
    match tied {
        true => Embedding::load_tied(table, tokens, dim),
        false => Ok((Embedding::load_stored(table, tokens, dim)?, Linear::load(output, dim, tokens)?)),
    }
}

/// A layer of the decoder.
#[derive(Debug)]
pub(crate) enum Layer {
    /// Attention to what came before, perhaps to the memory, and an MLP.
    Block(Box<Block>),
    /// Attention to the memory alone, and an MLP (CoCa).
    Looking(Box<Looking>),
}

/// A layer that looks at the memory and not at what came before. It normalises before its parts.
#[derive(Debug)]
pub(crate) struct Looking {
    pub(crate) norm: LayerNorm,
    /// Of the memory, before keys and values are made of it.
    pub(crate) memory_norm: LayerNorm,
    pub(crate) attention: CrossAttention,
    pub(crate) mlp_norm: LayerNorm,
    pub(crate) mlp: Mlp,
}

/// What BERT does to a state before the output matrix.
#[derive(Debug)]
pub(crate) struct Transform {
    pub(crate) dense: Linear,
    pub(crate) activation: Activation,
    pub(crate) norm: LayerNorm,
}

/// A picture as the layers that look at it see it: keys and values, computed once.
#[derive(Clone, Debug)]
pub(crate) struct Memory(Arc<[KeyValues]>);

/// A running decode.
#[derive(Debug)]
pub(crate) struct State {
    caches: Vec<KeyValues>,
    memory: Memory,
    /// Tokens that were fed; a prefix is none.
    position: usize,
}

impl TextDecoder {
    /// A decode that has seen nothing yet, of one row, and a picture `[1, positions, channels]` in memory, where there
    /// are layers that look at it.
    pub(crate) fn start(&self, memory: Option<&Tensor>) -> Result<State> {
        let cache = || KeyValues::empty(1, self.shape.heads, self.shape.dim, self.device());
        let blocks = self.layers.iter().filter(|layer| matches!(layer, Layer::Block(_)));
        let caches = blocks.map(|_| cache()).collect::<Result<_>>()?;
        let remember = |layer: &Layer| match (layer, memory) {
            (Layer::Block(block), Some(memory)) => {
                block.cross().map(|cross| cross.attention.remember(memory))
            }
            (Layer::Looking(layer), Some(memory)) => Some(layer.remember(memory)),
            (_, None) => None,
        };
        let memory = self.layers.iter().filter_map(remember).collect::<Result<Vec<_>>>()?;
        Ok(State { caches, memory: Memory(memory.into()), position: 0 })
    }

    /// A decode of one row that has seen a prompt, and the scores of the token behind it.
    pub(crate) fn begin(&self, memory: Option<&Tensor>, prompt: &[u32]) -> Result<(State, Vec<f32>)> {
        let mut state = self.start(memory)?;
        let scores = self.feed(prompt, &mut state)?;
        Ok((state, scores))
    }

    /// Feeds vectors that stand before the text, `[1, positions, dim]`, and all see each other.
    pub(crate) fn feed_prefix(&self, prefix: &Tensor, state: &mut State) -> Result<()> {
        let mut x = prefix.clone();
        let mut caches = state.caches.iter_mut();
        for layer in &self.layers {
            let (Layer::Block(block), Some(cache)) = (layer, caches.next()) else {
                return Err(EngineError::Msg("a decoder behind a prefix has no memory".into()));
            };
            x = block.step_prefix(&x, cache)?;
        }
        Ok(())
    }

    /// Feeds tokens to a decode of one row: the scores of the next token.
    ///
    /// # Errors
    /// If there are none, or one of them, or their number, is beyond what the model knows.
    pub(crate) fn feed(&self, tokens: &[u32], state: &mut State) -> Result<Vec<f32>> {
        if tokens.is_empty() {
            return Err(EngineError::Msg("a text begins with a token".into()));
        }
        let x = self.advance(tokens, 1, state)?;
        let mut scores = Vec::new();
        self.score(&x.narrow(1, tokens.len() - 1, 1)?, &mut scores)?;
        Ok(scores)
    }

    /// Feeds the same number of tokens to each row: the states behind them, `[rows, tokens / rows, dim]`.
    fn advance(&self, tokens: &[u32], rows: usize, state: &mut State) -> Result<Tensor> {
        let time = tokens.len() / rows;
        let Positions { table, first, count } = &self.positions;
        if state.position + time > *count {
            return Err(EngineError::Msg(format!("a text has {count} tokens at most")));
        }
        let indices = Tensor::from_slice(tokens, (rows, time), self.device())?;
        let positions = table.rows(first + state.position, time)?;
        let mut x = self.tokens.forward(&indices)?.broadcast_add(&positions)?;
        if let Some(norm) = &self.embedding_norm {
            x = norm.forward(&x)?;
        }
        let (mut caches, mut memory) = (state.caches.iter_mut(), state.memory.0.iter());
        for layer in &self.layers {
            x = match layer {
                Layer::Block(block) => {
                    let memory = if block.cross().is_some() { memory.next() } else { None };
                    let cache = caches.next().ok_or_else(|| EngineError::Msg("a cache is missing".into()))?;
                    block.step(&x, cache, memory)?
                }
                Layer::Looking(layer) => {
                    let memory =
                        memory.next().ok_or_else(|| EngineError::Msg("the memory is missing".into()))?;
                    layer.step(&x, memory)?
                }
            };
        }
        state.position += time;
        Ok(x)
    }

    /// The scores of the next token behind states `[rows, 1, dim]`, row by row.
    fn score(&self, states: &Tensor, scores: &mut Vec<f32>) -> Result<()> {
        let normed = self.norm.as_ref().map(|norm| norm.forward(states)).transpose()?;
        let mut states = normed.unwrap_or_else(|| states.clone());
        if let Some(Transform { dense, activation, norm }) = &self.transform {
            states = norm.forward(&dense.forward_activated(&states, *activation)?)?;
        }
        self.head.forward_into(&states, scores)
    }

    /// New tokens that have room behind a prompt: the last of them is not fed.
    pub(crate) fn room(&self, prompt: usize) -> usize {
        (self.positions.count + 1).saturating_sub(prompt)
    }

    pub(crate) fn device(&self) -> &Device {
        self.tokens.device()
    }
}

impl Decoder for TextDecoder {
    type State = State;

    fn step(&self, feeds: &mut [Feed<'_, State>], scores: &mut Vec<f32>) -> Result<()> {
        if let [Feed { tokens, state }] = feeds {
            return self.score(&self.advance(tokens, tokens.len(), state)?, scores);
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

impl Looking {
    fn remember(&self, memory: &Tensor) -> Result<KeyValues> {
        self.attention.remember(&self.memory_norm.forward(memory)?)
    }

    fn step(&self, x: &Tensor, memory: &KeyValues) -> Result<Tensor> {
        let x = self.attention.over_memory(&self.norm.forward(x)?, memory, x)?;
        self.mlp.forward_onto(&self.mlp_norm.forward(&x)?, &x)
    }
}
