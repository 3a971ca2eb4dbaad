//! What a `config.json` says of prompts and of the mask decoder, with the defaults of transformers where it is silent.

use percept_backbone::{Activation, WeightsError};
use serde_json::Value;

/// Which of the two models it is, where they differ in more than numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Kirillov et al. 2023, arXiv 2304.02643.
    Sam,
    /// Ravi et al. 2024, arXiv 2408.00714; SAM 2.1 differs in its weights.
    Sam2,
}

/// `prompt_encoder_config`.
#[derive(Clone, Debug)]
pub(crate) struct PromptShape {
    pub(crate) family: Family,
    /// Channels.
    pub(crate) dim: usize,
    /// Side of the square canvas in pixels.
    pub(crate) canvas: usize,
    /// Side of the image's embedding.
    pub(crate) grid: usize,
    /// Channels of a mask prompt before the last convolution.
    pub(crate) mask_channels: usize,
    pub(crate) activation: Activation,
    pub(crate) eps: f64,
}

/// `mask_decoder_config`.
#[derive(Clone, Debug)]
pub(crate) struct DecoderShape {
    pub(crate) family: Family,
    /// Channels.
    pub(crate) dim: usize,
    /// Channels inside the MLPs of the transformer.
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    /// Channels inside the attention between tokens and image.
    pub(crate) inner: usize,
    /// Mask tokens: one for an unambiguous prompt, then the candidates.
    pub(crate) masks: usize,
    pub(crate) iou_layers: usize,
    pub(crate) iou_hidden: usize,
    pub(crate) activation: Activation,
    /// Of the norms inside a layer.
    pub(crate) eps: f64,
    /// How stable the one mask has to be so that no candidate takes its place.
    pub(crate) stability: Option<Stability>,
}

/// SAM 2's `dynamic_multimask_via_stability`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stability {
    pub(crate) delta: f32,
    pub(crate) threshold: f32,
}

impl PromptShape {
    pub(crate) fn of(config: &Value, family: Family) -> Result<Self, WeightsError> {
        let (canvas, patch) = (count(config, "image_size", 1024)?, count(config, "patch_size", 16)?);
        if patch == 0 || canvas < patch || count(config, "num_point_embeddings", 4)? != 4 {
            return Err(wrong("the prompt encoder's sizes do not fit"));
        }
        Ok(Self {
            family,
            dim: count(config, "hidden_size", 256)?,
            canvas,
            grid: canvas / patch,
            mask_channels: count(config, "mask_input_channels", 16)?,
            activation: activation(config, "gelu")?,
            eps: config["layer_norm_eps"].as_f64().unwrap_or(1e-6),
        })
    }
}

impl DecoderShape {
    pub(crate) fn of(config: &Value, family: Family) -> Result<Self, WeightsError> {
        let dim = count(config, "hidden_size", 256)?;
        let narrowing = count(config, "attention_downsample_rate", 2)?;
        let iou_layers = count(config, "iou_head_depth", 3)?;
        let layers = count(config, "num_hidden_layers", 2)?;
        if narrowing == 0 || dim < 8 || iou_layers < 2 || layers == 0 {
            return Err(wrong("the mask decoder's sizes do not fit"));
        }
        let number = |name: &str, default: f64| config[name].as_f64().unwrap_or(default);
        let (delta, threshold) = ("dynamic_multimask_stability_delta", "dynamic_multimask_stability_thresh");
        let dynamic = config["dynamic_multimask_via_stability"].as_bool().unwrap_or(true);
        Ok(Self {
            family,
            dim,
            hidden: count(config, "mlp_dim", 2048)?,
            layers,
            heads: count(config, "num_attention_heads", 8)?,
            inner: dim / narrowing,
            masks: count(config, "num_multimask_outputs", 3)? + 1,
            iou_layers,
            iou_hidden: count(config, "iou_head_hidden_dim", 256)?,
            // SAM 2's code names the MLP's activation, SAM's configuration does.
            activation: match family {
                Family::Sam => activation(config, "relu")?,
                Family::Sam2 => Activation::Relu,
            },
            eps: match family {
                Family::Sam => number("layer_norm_eps", 1e-6),
                Family::Sam2 => 1e-5,
            },
            stability: (family == Family::Sam2 && dynamic).then(|| Stability {
                delta: number(delta, 0.05) as f32,
                threshold: number(threshold, 0.98) as f32,
            }),
        })
    }
}

/// A count, or one that is written once for both sides of a square.
pub(crate) fn count(config: &Value, name: &str, default: usize) -> Result<usize, WeightsError> {
    let found = match &config[name] {
        Value::Null => Some(default as u64),
        Value::Array(both) => match both.as_slice() {
            [a, b] if a == b => a.as_u64(),
            _ => None,
        },
        one => one.as_u64(),
    };
    found
        .map(|found| found as usize)
        .ok_or_else(|| wrong(&format!("`{name}` is {}, not a count", config[name])))
}

fn activation(config: &Value, default: &str) -> Result<Activation, WeightsError> {
    let name = config["hidden_act"].as_str().unwrap_or(default);
    Activation::from_config(name).ok_or_else(|| wrong(&format!("`{name}` is unknown")))
}

pub(crate) fn wrong(reason: &str) -> WeightsError {
    WeightsError::Format(format!("config.json: {reason}"))
}
