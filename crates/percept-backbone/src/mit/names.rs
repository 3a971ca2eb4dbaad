//! How checkpoints name the tensors of a Mix Transformer.
//!
//! Published ones have the names of transformers 4 (`encoder.block.0.1.attention.self.query`); version 5 has others
//! (`stages.0.blocks.1.attention.q_proj`), which are ours too.

use crate::attention::AttentionNames;
use crate::weights::Weights;

/// The matrices of attention.
pub(super) const MATRICES: AttentionNames =
    AttentionNames { query: "q_proj", key: "k_proj", value: "v_proj", output: "o_proj" };

/// Inside a layer: the old name, the new one.
const IN_LAYER: [(&str, &str); 10] = [
    ("attention.self.query.", "attention.q_proj."),
    ("attention.self.key.", "attention.k_proj."),
    ("attention.self.value.", "attention.v_proj."),
    ("attention.self.sr.", "attention.sequence_reduction.sequence_reduction."),
    ("attention.self.layer_norm.", "attention.sequence_reduction.layer_norm."),
    ("attention.output.dense.", "attention.o_proj."),
    ("mlp.dense1.", "mlp.fc1."),
    ("mlp.dense2.", "mlp.fc2."),
    ("layer_norm_1.", "layernorm_before."),
    ("layer_norm_2.", "layernorm_after."),
];

/// The same weights under the new names.
pub(super) fn renamed(weights: &Weights) -> Weights {
    weights.renamed(|name, shape| {
        let new = new_name(name).unwrap_or_else(|| name.to_owned());
        vec![(new, 0..shape[0])]
    })
}

/// The new name of a tensor that has an old one.
fn new_name(name: &str) -> Option<String> {
    let (before, path) = name.split_once("encoder.")?;
    if !before.is_empty() && !before.ends_with('.') {
        return None;
    }
    let (part, rest) = path.split_once('.')?;
    let (stage, rest) = rest.split_once('.')?;
    let inside = match part {
        "patch_embeddings" | "layer_norm" => format!("{part}.{rest}"),
        "block" => {
            let (layer, rest) = rest.split_once('.')?;
            let known = IN_LAYER.iter().find_map(|(old, new)| Some((new, rest.strip_prefix(old)?)));
            match known {
                Some((new, end)) => format!("blocks.{layer}.{new}{end}"),
                None => format!("blocks.{layer}.{rest}"),
            }
        }
        _ => return None,
    };
    Some(format!("{before}stages.{stage}.{inside}"))
}

#[cfg(test)]
mod tests {
    use super::new_name;

    /// Names of nvidia/segformer-b0-finetuned-ade-512-512, and what transformers 5's `conversion_mapping.py` makes of
    /// them.
    #[test]
    fn published_names_are_known() {
        let new = |name: &str| new_name(name).unwrap();
        assert_eq!(
            new("segformer.encoder.patch_embeddings.0.proj.weight"),
            "segformer.stages.0.patch_embeddings.proj.weight"
        );
        assert_eq!(
            new("segformer.encoder.block.0.1.attention.self.sr.bias"),
            "segformer.stages.0.blocks.1.attention.sequence_reduction.sequence_reduction.bias"
        );
        assert_eq!(
            new("encoder.block.3.0.mlp.dwconv.dwconv.weight"),
            "stages.3.blocks.0.mlp.dwconv.dwconv.weight"
        );
        assert_eq!(
            new("glpn.encoder.block.2.1.layer_norm_2.weight"),
            "glpn.stages.2.blocks.1.layernorm_after.weight"
        );
        assert_eq!(new("segformer.encoder.layer_norm.2.bias"), "segformer.stages.2.layer_norm.bias");
        for other in [
            "decode_head.linear_c.0.proj.weight",
            "segformer.stages.0.layer_norm.bias",
            "my_encoder.block.0.0.x",
        ] {
            assert_eq!(new_name(other), None);
        }
    }
}
