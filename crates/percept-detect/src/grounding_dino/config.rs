//! The numbers of a Grounding DINO.

use percept_backbone::bert::BertConfig;
use percept_backbone::checkpoint::{activation, count, wrong};
use percept_backbone::swin::SwinConfig;
use percept_backbone::{Activation, WeightsError};
use serde_json::{Value, json};

/// Groups of the norms behind the image encoder.
pub(super) const GROUPS: usize = 32;

/// What `config.json` says, with the defaults of transformers where it is silent.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) backbone: SwinConfig,
    pub(super) text: BertConfig,
    /// Channels of pixels, tokens and queries.
    pub(super) dim: usize,
    pub(super) queries: usize,
    pub(super) encoder_layers: usize,
    /// Heads of the encoder where it looks at maps; half of them where it looks at text.
    pub(super) encoder_heads: usize,
    /// Channels inside the encoder's MLPs of pixels; half of them in those of tokens, and in between.
    pub(super) encoder_inner: usize,
    /// Points that a head of the encoder reads of each map.
    pub(super) encoder_points: usize,
    pub(super) decoder_layers: usize,
    pub(super) decoder_heads: usize,
    pub(super) decoder_inner: usize,
    pub(super) decoder_points: usize,
    pub(super) activation: Activation,
    /// Of all norms but those of the backbones.
    pub(super) eps: f64,
    /// Tokens that a text may have, its start and end among them.
    pub(super) tokens: usize,
    /// How the waves that tell places grow.
    pub(super) temperature: f32,
}

impl Shape {
    pub(super) fn of(config: &Value) -> Result<Self, WeightsError> {
        let number = |name: &str, default| count(config, name, default);
        let default = json!({"model_type": "swin", "out_indices": [2, 3, 4]});
        let backbone = &config["backbone_config"];
        let backbone = SwinConfig::of(if backbone.is_null() { &default } else { backbone })?;
        for (name, supported) in [("two_stage", true), ("embedding_init_target", true)] {
            if config[name].as_bool().is_some_and(|stated| stated != supported) {
                return Err(wrong(format!("`{name}` is {}, which is not supported", !supported)));
            }
        }
        // A shared head would be loaded from another place.
        if config["two_stage_bbox_embed_share"].as_bool().unwrap_or(false) {
            return Err(wrong("`two_stage_bbox_embed_share` is true, which is not supported"));
        }
        if let Some(kind) = config["position_embedding_type"].as_str().filter(|kind| *kind != "sine") {
            return Err(wrong(format!("`position_embedding_type` is `{kind}`, not `sine`")));
        }
        let (levels, query_dim) = (number("num_feature_levels", 4)?, number("query_dim", 4)?);
        if levels != backbone.stages.len() + 1 {
            let stages = backbone.stages.len();
            return Err(wrong(format!(
                "`num_feature_levels` is {levels}, not one more than {stages} stages"
            )));
        }
        if query_dim != 4 {
            return Err(wrong(format!("`query_dim` is {query_dim}, not 4")));
        }
        let shape = Self {
            backbone,
            text: BertConfig::of(&config["text_config"])?,
            dim: number("d_model", 256)?,
            queries: number("num_queries", 900)?,
            encoder_layers: number("encoder_layers", 6)?,
            encoder_heads: number("encoder_attention_heads", 8)?,
            encoder_inner: number("encoder_ffn_dim", 2048)?,
            encoder_points: number("encoder_n_points", 4)?,
            decoder_layers: number("decoder_layers", 6)?,
            decoder_heads: number("decoder_attention_heads", 8)?,
            decoder_inner: number("decoder_ffn_dim", 2048)?,
            decoder_points: number("decoder_n_points", 4)?,
            activation: activation(config, "activation_function", Activation::Relu)?,
            eps: config["layer_norm_eps"].as_f64().unwrap_or(1e-5),
            tokens: number("max_text_len", 256)?,
            temperature: config["positional_embedding_temperature"].as_f64().unwrap_or(20.0) as f32,
        };
        let counts = [
            ("num_queries", shape.queries),
            ("decoder_layers", shape.decoder_layers),
            ("encoder_n_points", shape.encoder_points),
            ("decoder_n_points", shape.decoder_points),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(wrong(format!("`{name}` is 0")));
        }
        let (heads, inner) = (shape.encoder_heads / 2, shape.encoder_inner / 2);
        if heads == 0 || !inner.is_multiple_of(heads) {
            return Err(wrong(format!(
                "half of `encoder_ffn_dim`, {inner}, does not divide into half of `encoder_attention_heads`, {heads}"
            )));
        }
        // A box is told in four parts of half the channels, each of pairs of a sine and a cosine.
        if shape.dim == 0 || !shape.dim.is_multiple_of(GROUPS) {
            return Err(wrong(format!("`d_model` is {}, no multiple of {GROUPS}", shape.dim)));
        }
        Ok(shape)
    }
}
