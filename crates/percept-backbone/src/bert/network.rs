//! The network itself.

use candle_core::{Device, Tensor};

use super::config::BertConfig;
use crate::Result;
use crate::attention::{Attention, AttentionNames};
use crate::linear::{Embedding, Linear};
use crate::mlp::Mlp;
use crate::norm::LayerNorm;
use crate::weights::{Weights, WeightsError};

const NAMES: AttentionNames =
    AttentionNames { query: "self.query", key: "self.key", value: "self.value", output: "output.dense" };

/// A text encoder, from tokens to their states. Its layers normalise behind each part (post-norm).
#[derive(Debug)]
pub struct Bert {
    tokens: Embedding,
    positions: Embedding,
    /// That of the first segment, `[dim]`.
    segment: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
    config: BertConfig,
}

#[derive(Debug)]
struct Layer {
    attention: Attention,
    attention_norm: LayerNorm,
    mlp: Mlp,
    mlp_norm: LayerNorm,
}

impl Bert {
    /// Loads a `BertModel` without its pooling. `weights` stand at its prefix.
    pub fn load(weights: &Weights, config: &BertConfig) -> Result<Self, WeightsError> {
        let dim = config.dim;
        let embeddings = weights.at("embeddings");
        let segments = embeddings.get("token_type_embeddings.weight", &[config.segments, dim])?;
        Ok(Self {
            tokens: Embedding::load_stored(&embeddings.at("word_embeddings"), config.vocabulary, dim)?,
            positions: Embedding::load(&embeddings.at("position_embeddings"), config.positions, dim)?,
            segment: segments.get(0).map_err(WeightsError::Engine)?,
            norm: LayerNorm::load(&embeddings.at("LayerNorm"), dim, config.eps)?,
            layers: (0..config.depth)
                .map(|layer| Layer::load(&weights.at(format!("encoder.layer.{layer}")), config))
                .collect::<Result<_, _>>()?,
            config: config.clone(),
        })
    }

    /// The states of a text's tokens, `[1, tokens, dim]`: each token stands at its position, and `bias` `[1, 1, tokens,
    /// tokens]`, its last dimension the tokens that are seen, is added to the scores of every attention.
    ///
    /// # Errors
    /// If there are no tokens, or a token or a position is beyond what the model knows.
    pub fn states(&self, tokens: &[u32], positions: &[u32], bias: &Tensor) -> Result<Tensor> {
        let known = |of: &[u32], count: usize| of.iter().all(|index| (*index as usize) < count);
        if tokens.is_empty() || positions.len() != tokens.len() {
            candle_core::bail!("{} tokens at {} positions", tokens.len(), positions.len());
        }
        if !known(tokens, self.config.vocabulary) || !known(positions, self.config.positions) {
            candle_core::bail!(
                "a token is beyond the vocabulary of {} or the {} positions",
                self.config.vocabulary,
                self.config.positions
            );
        }
        let row = |values: &[u32]| Tensor::new(values, self.device())?.unsqueeze(0);
        let x = (self.tokens.forward(&row(tokens)?)?.broadcast_add(&self.segment)?
            + self.positions.forward(&row(positions)?)?)?;
        let mut x = self.norm.forward(&x)?;
        for Layer { attention, attention_norm, mlp, mlp_norm } in &self.layers {
            x = attention_norm.forward(&attention.over_itself_biased(&x, bias, &x)?)?;
            x = mlp_norm.forward(&mlp.forward_onto(&x, &x)?)?;
        }
        Ok(x)
    }

    /// The device that states are given on.
    pub fn device(&self) -> &Device {
        self.tokens.device()
    }
}

impl Layer {
    fn load(weights: &Weights, config: &BertConfig) -> Result<Self, WeightsError> {
        let &BertConfig { dim, heads, hidden, activation, eps, .. } = config;
        let up = Linear::load(&weights.at("intermediate.dense"), dim, hidden)?;
        let down = Linear::load(&weights.at("output.dense"), hidden, dim)?;
        Ok(Self {
            attention: Attention::load(&weights.at("attention"), NAMES, dim, heads)?,
            attention_norm: LayerNorm::load(&weights.at("attention.output.LayerNorm"), dim, eps)?,
            mlp: Mlp::new(up, down, activation),
            mlp_norm: LayerNorm::load(&weights.at("output.LayerNorm"), dim, eps)?,
        })
    }
}
