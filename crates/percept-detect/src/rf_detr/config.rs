//! The numbers of an RF-DETR.

use percept_backbone::checkpoint::{activation, count, wrong};
use percept_backbone::vit::{VitConfig, VitNames};
use percept_backbone::{Activation, WeightsError};
use serde_json::{Value, json};

/// Of the norms behind the projector's own; no configuration states it.
pub(super) const EPS: f64 = 1e-5;

/// What `config.json` says, with the defaults of transformers where it is silent.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) backbone: Backbone,
    /// Channels of the map and of the queries.
    pub(super) dim: usize,
    /// Channels inside the projector.
    pub(super) hidden: usize,
    /// Pairs of convolutions in the projector.
    pub(super) blocks: usize,
    pub(super) projector_activation: Activation,
    /// Of the norms of the projector's convolutions.
    pub(super) projector_eps: f64,
    pub(super) queries: usize,
    /// Sets of queries in the checkpoint, of which the first is used outside of training.
    pub(super) groups: usize,
    pub(super) decoder_layers: usize,
    pub(super) self_heads: usize,
    pub(super) cross_heads: usize,
    /// Points that a head reads.
    pub(super) points: usize,
    /// Channels inside the MLPs of the decoder.
    pub(super) inner: usize,
    pub(super) activation: Activation,
    /// Pixels of the image along a pixel of a mask.
    pub(super) mask_ratio: usize,
    /// Channels inside the MLP of the mask head.
    pub(super) mask_inner: usize,
    pub(super) mask_activation: Activation,
}

/// The windowed DINOv2.
#[derive(Clone, Debug)]
pub(super) struct Backbone {
    /// As deep as its last map needs it.
    pub(super) vit: VitConfig,
    pub(super) names: VitNames,
    /// Windows along a side.
    pub(super) windows: usize,
    /// Behind how many layers a map is taken, in ascending order.
    pub(super) stages: Vec<usize>,
    /// By layer, whether it looks only within windows.
    pub(super) windowed: Vec<bool>,
}

impl Shape {
    pub(super) fn of(config: &Value) -> Result<Self, WeightsError> {
        let number = |name: &str, default| count(config, name, default);
        let levels = number("num_feature_levels", 1)?;
        if levels != 1 {
            return Err(wrong(format!("`num_feature_levels` is {levels}; one level is supported")));
        }
        let default = json!({
            "model_type": "rf_detr_dinov2", "hidden_size": 384, "num_attention_heads": 6, "image_size": 518,
            "out_features": ["stage2", "stage5", "stage8", "stage11"],
        });
        let backbone = &config["backbone_config"];
        let dim = number("d_model", 256)?;
        let shape = Self {
            backbone: Backbone::of(if backbone.is_null() { &default } else { backbone })?,
            dim,
            hidden: (dim as f64 * config["hidden_expansion"].as_f64().unwrap_or(0.5)) as usize,
            blocks: number("c2f_num_blocks", 3)?,
            projector_activation: activation(config, "activation_function", Activation::Silu)?,
            projector_eps: config["layer_norm_eps"].as_f64().unwrap_or(1e-5),
            queries: number("num_queries", 300)?,
            groups: number("group_detr", 13)?,
            decoder_layers: number("decoder_layers", 3)?,
            self_heads: number("decoder_self_attention_heads", 8)?,
            cross_heads: number("decoder_cross_attention_heads", 16)?,
            points: number("decoder_n_points", 4)?,
            inner: number("decoder_ffn_dim", 2048)?,
            activation: activation(config, "decoder_activation_function", Activation::Relu)?,
            mask_ratio: number("mask_downsample_ratio", 4)?,
            mask_inner: number("intermediate_size", 1024)?,
            mask_activation: activation(
                config,
                "segmentation_head_activation_function",
                Activation::GeluErf,
            )?,
        };
        let counts = [
            ("d_model", shape.dim),
            ("num_queries", shape.queries),
            ("group_detr", shape.groups),
            ("decoder_layers", shape.decoder_layers),
            ("decoder_n_points", shape.points),
            ("mask_downsample_ratio", shape.mask_ratio),
        ];
        match counts.iter().find(|(_, count)| *count == 0) {
            Some((name, _)) => Err(wrong(format!("`{name}` is 0"))),
            // A box is encoded in four parts of half the channels, each of pairs of a sine and a cosine.
            None if !dim.is_multiple_of(4) => Err(wrong(format!("`d_model` is {dim}, no multiple of 4"))),
            None => Ok(shape),
        }
    }
}

impl Backbone {
    fn of(config: &Value) -> Result<Self, WeightsError> {
        let kind = config["model_type"].as_str().unwrap_or("rf_detr_dinov2");
        if kind != "rf_detr_dinov2" {
            return Err(wrong(format!("`backbone_config` is of `{kind}`, not of `rf_detr_dinov2`")));
        }
        for (name, supported) in
            [("use_swiglu_ffn", false), ("apply_layernorm", true), ("reshape_hidden_states", true)]
        {
            if config[name].as_bool().is_some_and(|stated| stated != supported) {
                return Err(wrong(format!("`{name}` is {}, which is not supported", !supported)));
            }
        }
        let (mut vit, names) = VitConfig::of(config)?;
        let windows = count(config, "num_windows", 4)?;
        if windows == 0 {
            return Err(wrong("`num_windows` is 0"));
        }
        let stages = stages(config, vit.depth)?;
        // Layers behind the last map are not run, and so not loaded.
        vit.depth = stages.last().copied().unwrap_or(vit.depth);
        let stated = config["window_block_indexes"].as_array();
        let windowed = (0..vit.depth).map(|layer| match stated {
            Some(layers) => layers.iter().any(|stated| stated.as_u64() == Some(layer as u64)),
            None => !stages.contains(&layer),
        });
        Ok(Self { windowed: windowed.collect(), vit, names, windows, stages })
    }
}

/// `out_indices`, or else `out_features`: "stem" is in front of all layers, "stage1" behind the first.
fn stages(config: &Value, depth: usize) -> Result<Vec<usize>, WeightsError> {
    let list = |name: &str, index: fn(&Value) -> Option<usize>| match &config[name] {
        Value::Null => Ok(None),
        stated => stated
            .as_array()
            .and_then(|items| items.iter().map(index).collect::<Option<Vec<_>>>())
            .filter(|stages| stages.is_sorted() && stages.last().is_some_and(|last| *last <= depth))
            .map(Some)
            .ok_or_else(|| wrong(format!("`{name}` is {stated}, of {depth} layers"))),
    };
    let index = |item: &Value| item.as_u64().map(|index| index as usize);
    let feature = |item: &Value| match item.as_str()? {
        "stem" => Some(0),
        name => name.strip_prefix("stage")?.parse().ok(),
    };
    Ok(match list("out_indices", index)? {
        Some(stages) => stages,
        None => list("out_features", feature)?.unwrap_or_else(|| vec![depth]),
    })
}
