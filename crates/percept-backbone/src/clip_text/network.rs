//! The network itself.

use candle_core::{Device, Tensor};

use super::ClipTextConfig;
use crate::Result;
use crate::attention::AttentionNames;
use crate::block::{Block, BlockNames, BlockShape};
use crate::linear::Embedding;
use crate::norm::LayerNorm;
use crate::weights::{Weights, WeightsError};

const LAYER: BlockNames = BlockNames {
    attention: "self_attn",
    attention_norm: "layer_norm1",
    cross: None,
    up: "mlp.fc1",
    down: "mlp.fc2",
    gate: None,
    mlp_norm: "layer_norm2",
    scales: None,
    matrices: AttentionNames::PROJ,
};

/// A text encoder, from tokens to the states of texts.
#[derive(Debug)]
pub struct ClipText {
    tokens: Embedding,
    positions: Embedding,
    layers: Vec<Block>,
    norm: LayerNorm,
    config: ClipTextConfig,
}

impl ClipText {
    /// Loads a network. `weights` stand at its prefix (`text_model`).
    pub fn load(weights: &Weights, config: &ClipTextConfig) -> Result<Self, WeightsError> {
        let &ClipTextConfig { dim, heads, hidden, activation, eps, .. } = config;
        let shape = BlockShape { dim, heads, hidden, activation, eps };
        let embeddings = weights.at("embeddings");
        Ok(Self {
            tokens: Embedding::load_stored(&embeddings.at("token_embedding"), config.vocabulary, dim)?,
            positions: Embedding::load(&embeddings.at("position_embedding"), config.positions, dim)?,
            layers: (0..config.depth)
                .map(|layer| Block::load(&weights.at(format!("encoder.layers.{layer}")), LAYER, shape))
                .collect::<Result<_, _>>()?,
            norm: LayerNorm::load(&weights.at("final_layer_norm"), dim, eps)?,
            config: config.clone(),
        })
    }

    /// The states of every token behind the last norm, `[texts, longest text, dim]`. Those behind the end of a shorter
    /// text mean nothing: no token sees what comes after it.
    ///
    /// # Errors
    /// If there are no texts, one of them is empty or longer than the model can read, or a token is not in its
    /// vocabulary.
    pub fn states(&self, texts: &[Vec<u32>]) -> Result<Tensor> {
        let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
        if texts.iter().any(Vec::is_empty) || longest == 0 || longest > self.config.positions {
            candle_core::bail!("texts of 1 to {} tokens are wanted, not of {longest}", self.config.positions);
        }
        let fill = |ids: &Vec<u32>| {
            let last = ids[ids.len() - 1];
            ids.iter().copied().chain(std::iter::repeat(last)).take(longest).collect::<Vec<_>>()
        };
        let ids = texts.iter().flat_map(fill).collect::<Vec<u32>>();
        if ids.iter().any(|id| *id as usize >= self.config.vocabulary) {
            candle_core::bail!("a token is beyond the vocabulary of {}", self.config.vocabulary);
        }
        let ids = Tensor::from_vec(ids, (texts.len(), longest), self.device())?;
        let positions = self.positions.rows(0, longest)?;
        let mut x = self.tokens.forward(&ids)?.broadcast_add(&positions)?;
        for layer in &self.layers {
            x = layer.forward_causal(&x)?;
        }
        self.norm.forward(&x)
    }

    /// One vector a text, `[texts, dim]`: its state where it ends. A model's projection, if it has one, comes after.
    ///
    /// # Errors
    /// As [`Self::states`].
    pub fn pooled(&self, texts: &[Vec<u32>]) -> Result<Tensor> {
        let states = self.states(texts)?;
        let (_, longest, _) = states.dims3()?;
        let rows = texts.iter().enumerate().map(|(index, ids)| {
            let end = self.config.end.position(ids);
            (index * longest + end) as u32
        });
        let rows = Tensor::from_vec(rows.collect::<Vec<_>>(), texts.len(), self.device())?;
        states.flatten(0, 1)?.index_select(&rows, 0)
    }

    /// Tokens that a text may have.
    pub fn capacity(&self) -> usize {
        self.config.positions
    }

    fn device(&self) -> &Device {
        self.tokens.device()
    }
}
