//! The numbers of a Florence-2, and how a `config.json` states them.

use percept_backbone::checkpoint::{activation, counts, positive, wrong};
use percept_backbone::{Activation, BlockShape, WeightsError};
use serde_json::Value;

/// Of all norms.
pub(super) const EPS: f64 = 1e-5;

/// What differs between Florences in numbers.
pub(super) struct Shape {
    pub(super) stages: Vec<StageShape>,
    /// Tokens down and across a window.
    pub(super) window: usize,
    /// Rows and columns that have positions.
    pub(super) map_positions: usize,
    /// Channels of what becomes of the picture.
    pub(super) projection: usize,
    pub(super) encoder: BlockShape,
    pub(super) encoder_depth: usize,
    pub(super) decoder: BlockShape,
    pub(super) decoder_depth: usize,
    pub(super) vocabulary: usize,
    pub(super) positions: usize,
}

/// A stage of DaViT.
#[derive(Clone, Copy, Debug)]
pub(super) struct StageShape {
    pub(super) input: usize,
    pub(super) dim: usize,
    pub(super) depth: usize,
    pub(super) heads: usize,
    /// Of channels.
    pub(super) groups: usize,
    pub(super) hidden: usize,
    pub(super) activation: Activation,
    /// Of the convolution that begins it.
    pub(super) side: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
    /// Whether the norm stands before that convolution.
    pub(super) norm_first: bool,
}

impl Shape {
    /// Reads a `config.json`, with the defaults of transformers' `Florence2Config` and `BartConfig` where it is silent.
    pub(super) fn of(config: &Value) -> Result<Self, WeightsError> {
        let (vision, text) = (&config["vision_config"], &config["text_config"]);
        if let Some(kind) = text["model_type"].as_str().filter(|kind| *kind != "bart") {
            return Err(wrong(format!("`text_config.model_type` is `{kind}`, not `bart`")));
        }
        if text["scale_embedding"].as_bool() == Some(true) {
            return Err(wrong("`text_config.scale_embedding` is true, which is not supported"));
        }
        if !config["tie_word_embeddings"].as_bool().unwrap_or(true) {
            return Err(wrong("`tie_word_embeddings` is false, which is not supported"));
        }
        let dim = positive(text, "d_model", 1024)?;
        let block = |part: &str| {
            Ok::<_, WeightsError>(BlockShape {
                dim,
                heads: positive(text, &format!("{part}_attention_heads"), 16)?,
                hidden: positive(text, &format!("{part}_ffn_dim"), 4096)?,
                activation: activation(text, "activation_function", Activation::GeluErf)?,
                eps: EPS,
            })
        };
        let projection = positive(vision, "projection_dim", 1024)?;
        if projection != dim {
            return Err(wrong(format!("`projection_dim` is {projection} and `d_model` is {dim}")));
        }
        Ok(Self {
            stages: stages(vision)?,
            window: positive(vision, "window_size", 12)?,
            map_positions: positive(vision, "max_position_embeddings", 50)?,
            projection,
            encoder: block("encoder")?,
            encoder_depth: positive(text, "encoder_layers", 12)?,
            decoder: block("decoder")?,
            decoder_depth: positive(text, "decoder_layers", 12)?,
            vocabulary: positive(text, "vocab_size", 50265)?,
            positions: positive(text, "max_position_embeddings", 1024)?,
        })
    }
}

fn stages(vision: &Value) -> Result<Vec<StageShape>, WeightsError> {
    if positive(vision, "in_channels", 3)? != 3 {
        return Err(wrong("`in_channels` is not 3: pictures have three channels"));
    }
    let dims = counts(vision, "embed_dim", &[128, 256, 512, 1024])?;
    let all = |name: &str, default: &[usize]| {
        let found = counts(vision, name, default)?;
        match found.len() == dims.len() && !found.is_empty() {
            true => Ok(found),
            false => Err(wrong(format!("`{name}` has {} entries for {} stages", found.len(), dims.len()))),
        }
    };
    let depths = all("depths", &[1, 1, 9, 1])?;
    let heads = all("num_heads", &[4, 8, 16, 32])?;
    let groups = all("num_groups", &[4, 8, 16, 32])?;
    let sides = all("patch_size", &[7, 3, 3, 3])?;
    let strides = all("patch_stride", &[4, 2, 2, 2])?;
    let padding = match &vision["patch_padding"] {
        Value::Null => vec![3, 1, 1, 1],
        // Here 0 is a count too.
        value => {
            let list = value.as_array().map(|list| list.iter().filter_map(Value::as_u64).collect::<Vec<_>>());
            list.unwrap_or_default().into_iter().map(|zeros| zeros as usize).collect()
        }
    };
    let norm_first = match &vision["patch_prenorm"] {
        Value::Null => vec![false, true, true, true],
        value => {
            value.as_array().map(|list| list.iter().filter_map(Value::as_bool).collect()).unwrap_or_default()
        }
    };
    if padding.len() != dims.len() || norm_first.len() != dims.len() {
        return Err(wrong(format!("`patch_padding` or `patch_prenorm` does not fit {} stages", dims.len())));
    }
    let ratio = vision["mlp_ratio"].as_f64().unwrap_or(4.0);
    let activation = activation(vision, "activation_function", Activation::GeluErf)?;
    let stage = |stage: usize| {
        let dim = dims[stage];
        if !dim.is_multiple_of(groups[stage]) || !dim.is_multiple_of(heads[stage]) {
            let (heads, groups) = (heads[stage], groups[stage]);
            return Err(wrong(format!(
                "{dim} channels do not divide into {heads} heads and {groups} groups"
            )));
        }
        Ok(StageShape {
            input: if stage == 0 { 3 } else { dims[stage - 1] },
            dim,
            depth: depths[stage],
            heads: heads[stage],
            groups: groups[stage],
            hidden: (dim as f64 * ratio) as usize,
            activation,
            side: sides[stage],
            stride: strides[stage],
            padding: padding[stage],
            norm_first: norm_first[stage],
        })
    };
    (0..dims.len()).map(stage).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_stated_is_the_references_default() {
        let shape = Shape::of(&json!({})).unwrap();
        assert_eq!((shape.stages.len(), shape.stages[2].depth, shape.window), (4, 9, 12));
        assert_eq!((shape.encoder_depth, shape.positions, shape.projection), (12, 1024, 1024));
    }

    #[test]
    fn what_is_not_supported_is_an_error() {
        for wrong in [
            json!({"text_config": {"model_type": "t5"}}),
            json!({"text_config": {"scale_embedding": true}}),
            json!({"text_config": {"d_model": 768}}),
            json!({"vision_config": {"num_heads": [4, 8]}}),
            json!({"vision_config": {"num_groups": [3, 8, 16, 32]}}),
            json!({"tie_word_embeddings": false}),
        ] {
            assert!(Shape::of(&wrong).is_err(), "{wrong}");
        }
    }
}
