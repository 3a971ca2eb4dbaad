//! What text decoders that were BERTs share.

use percept_backbone::checkpoint::{activation, positive};
use percept_backbone::{Activation, AttentionNames, BlockNames, BlockShape, WeightsError};
use serde_json::Value;

/// A layer of BERT under the names of all its conversions. Its norms stand behind its parts.
pub(crate) const LAYER: BlockNames = BlockNames {
    attention: "attention",
    attention_norm: "attention.output.LayerNorm",
    cross: None,
    up: "intermediate.dense",
    down: "output.dense",
    gate: None,
    mlp_norm: "output.LayerNorm",
    scales: None,
    matrices: AttentionNames {
        query: "self.query",
        key: "self.key",
        value: "self.value",
        output: "output.dense",
    },
};

/// The numbers of a layer, with the defaults of transformers where `config` is silent.
pub(crate) fn block(config: &Value, heads: usize) -> Result<BlockShape, WeightsError> {
    Ok(BlockShape {
        dim: positive(config, "hidden_size", 768)?,
        heads: positive(config, "num_attention_heads", heads)?,
        hidden: positive(config, "intermediate_size", 3072)?,
        activation: activation(config, "hidden_act", Activation::GeluErf)?,
        eps: config["layer_norm_eps"].as_f64().unwrap_or(1e-12),
    })
}
