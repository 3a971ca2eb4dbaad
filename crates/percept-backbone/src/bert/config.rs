//! The numbers of a BERT, and how a `config.json` states them.

use serde_json::Value;

use crate::activation::Activation;
use crate::checkpoint::{activation, count, wrong};
use crate::weights::WeightsError;

/// What differs between BERTs. It has no default: each of them changes results.
#[derive(Clone, Debug, PartialEq)]
pub struct BertConfig {
    /// Tokens that there are.
    pub vocabulary: usize,
    /// Tokens that a text may have.
    pub positions: usize,
    /// Kinds of segments; a text alone is of the first.
    pub segments: usize,
    /// Channels of a token.
    pub dim: usize,
    /// Layers.
    pub depth: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Channels inside the MLP.
    pub hidden: usize,
    /// Of the MLP.
    pub activation: Activation,
    /// Of the norms.
    pub eps: f64,
}

impl BertConfig {
    /// Reads the `config.json` of a BERT, or the part of one that describes it (`text_config`), with the defaults of
    /// transformers where it is silent.
    ///
    /// # Errors
    /// If it is no BERT, or its numbers make no sense.
    pub fn of(config: &Value) -> Result<Self, WeightsError> {
        let kind = config["model_type"].as_str().unwrap_or("bert");
        if kind != "bert" {
            return Err(wrong(format!("`{kind}` is no BERT")));
        }
        if let Some(kind) = config["position_embedding_type"].as_str().filter(|kind| *kind != "absolute") {
            return Err(wrong(format!("`position_embedding_type` is `{kind}`, not `absolute`")));
        }
        Ok(Self {
            vocabulary: count(config, "vocab_size", 30522)?,
            positions: count(config, "max_position_embeddings", 512)?,
            segments: count(config, "type_vocab_size", 2)?,
            dim: count(config, "hidden_size", 768)?,
            depth: count(config, "num_hidden_layers", 12)?,
            heads: count(config, "num_attention_heads", 12)?,
            hidden: count(config, "intermediate_size", 3072)?,
            activation: activation(config, "hidden_act", Activation::GeluErf)?,
            eps: config["layer_norm_eps"].as_f64().unwrap_or(1e-12),
        })
    }
}
