//! CTranslate2's names of Whisper's weights, as Hugging Face's.

use std::ops::Range;

/// The Hugging Face names of a CTranslate2 variable of that shape, and the rows that each takes.
/// CTranslate2 stacks the matrices of an attention that share their input.
pub(super) fn from_ctranslate2(name: &str, shape: &[usize]) -> Vec<(String, Range<usize>)> {
    let rows = shape[0];
    let whole = |new: String| vec![(new, 0..rows)];
    // Scales travel with their weights.
    if name.ends_with("_scale") {
        return Vec::new();
    }
    let parts = name.split('/').collect::<Vec<_>>();
    match parts.as_slice() {
        ["encoder", conv @ ("conv1" | "conv2"), kind] => whole(format!("model.encoder.{conv}.{kind}")),
        [side, "position_encodings", "encodings"] => whole(format!("model.{side}.embed_positions.weight")),
        [side, "layer_norm", kind] => whole(format!("model.{side}.layer_norm.{}", norm(kind))),
        ["decoder", "embeddings", "weight"] => whole("model.decoder.embed_tokens.weight".into()),
        [side, layer, rest @ ..] => match layer.strip_prefix("layer_") {
            Some(number) => layer_names(&format!("model.{side}.layers.{number}"), rest, rows),
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn layer_names(prefix: &str, rest: &[&str], rows: usize) -> Vec<(String, Range<usize>)> {
    let stacked = |attention: &str, matrices: &[&str], kind: &str| {
        let each = rows / matrices.len();
        matrices
            .iter()
            .enumerate()
            .map(|(index, matrix)| {
                (format!("{prefix}.{attention}.{matrix}.{kind}"), index * each..(index + 1) * each)
            })
            .collect()
    };
    match rest {
        ["self_attention", "layer_norm", kind] => {
            vec![(format!("{prefix}.self_attn_layer_norm.{}", norm(kind)), 0..rows)]
        }
        ["self_attention", "linear_0", kind] => stacked("self_attn", &["q_proj", "k_proj", "v_proj"], kind),
        ["self_attention", "linear_1", kind] => stacked("self_attn", &["out_proj"], kind),
        ["attention", "layer_norm", kind] => {
            vec![(format!("{prefix}.encoder_attn_layer_norm.{}", norm(kind)), 0..rows)]
        }
        ["attention", "linear_0", kind] => stacked("encoder_attn", &["q_proj"], kind),
        ["attention", "linear_1", kind] => stacked("encoder_attn", &["k_proj", "v_proj"], kind),
        ["attention", "linear_2", kind] => stacked("encoder_attn", &["out_proj"], kind),
        ["ffn", "layer_norm", kind] => vec![(format!("{prefix}.final_layer_norm.{}", norm(kind)), 0..rows)],
        ["ffn", "linear_0", kind] => vec![(format!("{prefix}.fc1.{kind}"), 0..rows)],
        ["ffn", "linear_1", kind] => vec![(format!("{prefix}.fc2.{kind}"), 0..rows)],
        _ => Vec::new(),
    }
}

fn norm(kind: &str) -> &str {
    match kind {
        "gamma" => "weight",
        "beta" => "bias",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacked_matrices_are_cut_apart() {
        let names = from_ctranslate2("decoder/layer_3/attention/linear_1/weight", &[12, 6]);
        assert_eq!(
            names,
            vec![
                ("model.decoder.layers.3.encoder_attn.k_proj.weight".into(), 0..6),
                ("model.decoder.layers.3.encoder_attn.v_proj.weight".into(), 6..12),
            ]
        );
        assert!(from_ctranslate2("decoder/layer_3/attention/linear_1/weight_scale", &[12]).is_empty());
    }
}
