//! What text decoders that were BERTs share.

use percept_backbone::{AttentionNames, BlockNames};

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
