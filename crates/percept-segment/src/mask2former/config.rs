//! The numbers of a Mask2Former behind its backbone.

use percept_backbone::checkpoint::count;
use percept_backbone::{Activation, WeightsError};
use serde_json::Value;

/// Maps that the encoder of the pixel decoder mixes, and that queries look at.
pub(super) const LEVELS: usize = 3;
/// Points that a head of that encoder reads of each map.
pub(super) const POINTS: usize = 4;
/// Groups of every group norm.
pub(super) const GROUPS: usize = 32;
/// Of every norm; no configuration states it.
pub(super) const EPS: f64 = 1e-5;

/// What `config.json` says, with the defaults of transformers where it is silent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    /// Channels of the pixel decoder.
    pub(super) features: usize,
    /// Channels of the map that masks are read from.
    pub(super) mask_features: usize,
    /// Channels of the queries.
    pub(super) hidden: usize,
    /// Heads of all attentions.
    pub(super) heads: usize,
    pub(super) queries: usize,
    pub(super) encoder_layers: usize,
    /// Channels inside the MLPs of the pixel decoder.
    pub(super) encoder_inner: usize,
    /// Layers that queries go through: `decoder_layers` counts the prediction in front of them too.
    pub(super) decoder_layers: usize,
    /// Channels inside the MLPs behind the queries.
    pub(super) decoder_inner: usize,
    pub(super) activation: Activation,
    /// Maps of the backbone that are merged behind the encoder, from fine to coarse.
    pub(super) merged: usize,
}

impl Shape {
    pub(super) fn of(config: &Value) -> Result<Self, WeightsError> {
        let number = |name: &str, default| count(config, name, default);
        if config["pre_norm"].as_bool().unwrap_or(false) {
            return Err(wrong("a decoder that normalises first (`pre_norm`) is not supported"));
        }
        let activation = config["activation_function"].as_str().unwrap_or("relu");
        let strides = match &config["feature_strides"] {
            Value::Array(strides) => strides.iter().filter_map(Value::as_u64).collect(),
            _ => vec![4, 8, 16, 32],
        };
        let common = number("common_stride", 4)? as u64;
        let finest = strides.iter().rev().take(LEVELS).min().copied().unwrap_or(0);
        if common == 0 || finest < common {
            return Err(wrong("`feature_strides` and `common_stride` do not fit"));
        }
        Ok(Self {
            features: number("feature_size", 256)?,
            mask_features: number("mask_feature_size", 256)?,
            hidden: number("hidden_dim", 256)?,
            heads: number("num_attention_heads", 8)?,
            queries: number("num_queries", 100)?,
            encoder_layers: number("encoder_layers", 6)?,
            encoder_inner: number("encoder_feedforward_dim", 1024)?,
            decoder_layers: number("decoder_layers", 10)?
                .checked_sub(1)
                .ok_or_else(|| wrong("`decoder_layers` is 0"))?,
            decoder_inner: number("dim_feedforward", 2048)?,
            activation: Activation::from_config(activation)
                .ok_or_else(|| wrong(&format!("`{activation}` is unknown")))?,
            merged: (finest.ilog2() - common.ilog2()) as usize,
        })
    }
}

fn wrong(reason: &str) -> WeightsError {
    WeightsError::Format(format!("config.json: {reason}"))
}
