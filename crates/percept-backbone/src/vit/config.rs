//! The numbers of a Vision Transformer, and how a `config.json` states them.

use serde_json::{Value, json};

use super::names::VitNames;
use crate::activation::Activation;
use crate::mlp::Experts;
use crate::weights::WeightsError;

/// What differs between Vision Transformers in numbers. It has no default: each of them changes
/// results.
#[derive(Clone, Debug, PartialEq)]
pub struct VitConfig {
    /// Channels of a token.
    pub dim: usize,
    /// Layers.
    pub depth: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Channels inside the MLP.
    pub hidden: usize,
    /// Of the MLP, or of its gate.
    pub activation: Activation,
    /// Of the norms.
    pub eps: f64,
    /// Channels of an image; others than 3 where the images are a network's maps.
    pub channels: usize,
    /// Side of a patch, in pixels.
    pub patch: usize,
    /// Zero pixels around the image.
    pub padding: usize,
    /// Height and width of the image that the positions were learned for, in pixels.
    pub image: [usize; 2],
    /// What stands before the patches.
    pub class_token: ClassToken,
    /// Whether a distillation token follows the class token (DeiT).
    pub distilled: bool,
    /// Register tokens, which have no position (Darcet et al. 2024, arXiv 2309.16588).
    pub registers: usize,
    /// Tokens behind those of the patches, with positions (YOLOS's detection tokens).
    pub trailing: usize,
    /// How positions are brought to another image size.
    pub resampling: Resampling,
    /// What the last norm is for.
    pub final_norm: FinalNorm,
    /// Where attention stays in windows (SAM); `None`: nowhere.
    pub windows: Option<Windows>,
    /// Whether attention knows relative positions (SAM).
    pub relative_positions: bool,
    /// Whether attention has a bias by relative position (BEiT).
    pub relative_bias: bool,
    /// Of the MLPs (ViTPose++); all are wanted unless the caller says otherwise.
    pub experts: Option<Experts>,
}

/// Layers whose attention stays in windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Tokens along a side.
    pub side: usize,
    /// The layers without.
    pub global: Vec<usize>,
}

/// The class token and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassToken {
    /// The first of all tokens.
    First,
    /// The first of all tokens, without a position (EoMT).
    Unplaced,
    /// There is neither (SigLIP).
    Absent,
    /// There is only its position, which every patch gets on top of its own (ViTPose).
    PositionOnly,
}

/// The filter for positions at another size; all are `torch.nn.functional.interpolate`'s with
/// `align_corners=False`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resampling {
    /// Two taps, at any ratio.
    Bilinear,
    /// Four taps with `a = -0.75`, at any ratio.
    Bicubic,
    /// `a = -0.5` and, where the grid shrinks, as wide as the ratio (`antialias=True`).
    BicubicAntialiased,
}

/// What the last norm is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalNorm {
    /// All tokens.
    Tokens,
    /// Only to what a head picks from them: tokens are left as the last layer gives them (CLIP).
    Pooled,
    /// To nothing: there is none (SAM, BEiT as a backbone). Such a network may do without positions of its own.
    Absent,
}

impl VitConfig {
    /// Reads the `vision_config` of a `config.json`, which may be absent, and is of a `kind` (`model_type`) whatever it says.
    pub fn of_vision(config: &Value, kind: &str) -> Result<(Self, VitNames), WeightsError> {
        let mut vision = match &config["vision_config"] {
            Value::Null => json!({}),
            given => given.clone(),
        };
        vision["model_type"] = json!(kind);
        Self::of(&vision)
    }

    /// Reads the `config.json` of an image encoder, or the part of one that describes it
    /// (`vision_config`, `backbone_config`), with the defaults of transformers where it is silent.
    pub fn of(config: &Value) -> Result<(Self, VitNames), WeightsError> {
        let kind = config["model_type"].as_str().unwrap_or_default();
        let (names, base) = base(kind).ok_or_else(|| wrong(format!("`{kind}` is no Vision Transformer")))?;
        let number = |name: &str, default: usize| match &config[name] {
            Value::Null => Ok(default),
            value => value
                .as_u64()
                .map(|number| number as usize)
                .ok_or_else(|| wrong(format!("`{name}` is {value}, not a count"))),
        };
        let dim = number("hidden_size", base.dim)?;
        let mut hidden = match config["mlp_ratio"].as_f64() {
            _ if config["mlp_dim"].is_u64() => number("mlp_dim", 0)?,
            Some(ratio) => (dim as f64 * ratio) as usize,
            None if base.hidden_is_ratio => 4 * dim,
            None => number("intermediate_size", base.config.hidden)?,
        };
        let gated = config["use_swiglu_ffn"].as_bool().unwrap_or(false);
        let mut activation = match config["hidden_act"].as_str() {
            Some(name) => {
                Activation::from_config(name).ok_or_else(|| wrong(format!("`{name}` is unknown")))?
            }
            None => base.config.activation,
        };
        if gated {
            // Two thirds of the plain MLP's, rounded up to a multiple of 8.
            hidden = (hidden * 2 / 3).next_multiple_of(8);
            activation = Activation::Silu;
        }
        let [patch, across] = pair(&config["patch_size"], [base.config.patch; 2])?;
        if patch != across || patch == 0 {
            return Err(wrong(format!("patches of {patch} by {across} pixels")));
        }
        if number("num_channels", 3)? != 3 {
            return Err(wrong("images have three channels".into()));
        }
        let experts = match number("num_experts", 1)? {
            1 => None,
            0 => return Err(wrong("`num_experts` is 0".into())),
            _ if kind != "vitpose_backbone" => {
                return Err(wrong(format!("`num_experts` of a `{kind}` is not supported")));
            }
            count => {
                let features = number("part_features", 256)?;
                Some(Experts { count, features, wanted: (0..count).collect() })
            }
        };
        // With an initial value of 0 the layers of a BEiT have no scales.
        let unscaled =
            kind == "beit" && config["layer_scale_init_value"].as_f64().is_some_and(|value| value <= 0.0);
        let config = Self {
            dim,
            depth: number("num_hidden_layers", base.config.depth)?,
            heads: number("num_attention_heads", base.config.heads)?,
            hidden,
            activation,
            eps: config["layer_norm_eps"].as_f64().unwrap_or(base.config.eps),
            patch,
            image: pair(&config["image_size"], base.config.image)?,
            registers: match kind {
                "dinov2_with_registers" | "eomt" => number("num_register_tokens", 4)?,
                _ => 0,
            },
            trailing: match kind {
                "yolos" => number("num_detection_tokens", 100)?,
                _ => 0,
            },
            windows: windows(config, base.config.windows)?,
            relative_positions: match kind {
                "sam_vision_model" => config["use_rel_pos"].as_bool().unwrap_or(true),
                _ => false,
            },
            relative_bias: match kind {
                "beit" => relative_bias(config)?,
                _ => false,
            },
            experts,
            ..base.config
        };
        Ok((
            config,
            match (gated, unscaled) {
                (true, _) => names.gated(),
                (_, true) => names.unscaled(),
                _ => names,
            },
        ))
    }
}

/// An architecture as transformers' configuration class has it without arguments.
struct Base {
    dim: usize,
    hidden_is_ratio: bool,
    config: VitConfig,
}

fn base(kind: &str) -> Option<(VitNames, Base)> {
    let vit = VitConfig {
        dim: 768,
        depth: 12,
        heads: 12,
        hidden: 3072,
        activation: Activation::GeluErf,
        eps: 1e-12,
        channels: 3,
        patch: 16,
        padding: 0,
        image: [224; 2],
        class_token: ClassToken::First,
        distilled: false,
        registers: 0,
        trailing: 0,
        resampling: Resampling::Bicubic,
        final_norm: FinalNorm::Tokens,
        windows: None,
        relative_positions: false,
        relative_bias: false,
        experts: None,
    };
    let plain = |config: VitConfig| Base { dim: config.dim, hidden_is_ratio: false, config };
    let ratio = |config: VitConfig| Base { hidden_is_ratio: true, ..plain(config) };
    Some(match kind {
        "vit" => (VitNames::VIT, plain(vit)),
        "deit" => (VitNames::VIT, plain(VitConfig { distilled: true, ..vit })),
        "dpt" => {
            let resampling = Resampling::Bilinear;
            (VitNames::VIT, plain(VitConfig { image: [384; 2], resampling, ..vit }))
        }
        "beit" => (VitNames::BEIT, plain(VitConfig { final_norm: FinalNorm::Absent, ..vit })),
        "dinov2" => (VitNames::DINOV2, ratio(VitConfig { eps: 1e-6, patch: 14, ..vit })),
        "dinov2_with_registers" => {
            let resampling = Resampling::BicubicAntialiased;
            (VitNames::DINOV2, ratio(VitConfig { eps: 1e-6, resampling, ..vit }))
        }
        "rf_detr_dinov2" => {
            let resampling = Resampling::BicubicAntialiased;
            (VitNames::DINOV2, ratio(VitConfig { eps: 1e-6, patch: 14, resampling, ..vit }))
        }
        "eomt" => {
            let class_token = ClassToken::Unplaced;
            let large = VitConfig { dim: 1024, depth: 24, heads: 16, image: [640; 2], ..vit };
            (VitNames::EOMT, ratio(VitConfig { eps: 1e-6, class_token, ..large }))
        }
        "clip_vision_model" | "clipseg_vision_model" => {
            let (activation, final_norm) = (Activation::QuickGelu, FinalNorm::Pooled);
            (VitNames::CLIP, plain(VitConfig { eps: 1e-5, patch: 32, activation, final_norm, ..vit }))
        }
        "git_vision_model" => {
            (VitNames::CLIP, plain(VitConfig { eps: 1e-5, activation: Activation::QuickGelu, ..vit }))
        }
        "siglip_vision_model" => {
            let (activation, class_token) = (Activation::GeluTanh, ClassToken::Absent);
            (VitNames::SIGLIP, plain(VitConfig { eps: 1e-6, activation, class_token, ..vit }))
        }
        "blip_vision_model" => (VitNames::BLIP, plain(VitConfig { eps: 1e-5, image: [384; 2], ..vit })),
        "vitpose_backbone" => {
            let class_token = ClassToken::PositionOnly;
            let image = [256, 192];
            (VitNames::VITPOSE, ratio(VitConfig { padding: 2, image, class_token, ..vit }))
        }
        "yolos" => (VitNames::YOLOS, plain(VitConfig { image: [512, 864], ..vit })),
        "sam_vision_model" => {
            let windows = Some(Windows { side: 14, global: vec![2, 5, 8, 11] });
            let (class_token, final_norm) = (ClassToken::Absent, FinalNorm::Absent);
            (
                VitNames::SAM,
                ratio(VitConfig { eps: 1e-6, image: [1024; 2], class_token, final_norm, windows, ..vit }),
            )
        }
        _ => return None,
    })
}

/// Whether the layers of a BEiT have a bias by relative position, each its own.
fn relative_bias(config: &Value) -> Result<bool, WeightsError> {
    if config["use_shared_relative_position_bias"].as_bool().unwrap_or(false) {
        return Err(wrong("`use_shared_relative_position_bias` is true, which is not supported".into()));
    }
    Ok(config["use_relative_position_bias"].as_bool().unwrap_or(false))
}

/// The windows of an architecture that has them by `default`.
fn windows(config: &Value, default: Option<Windows>) -> Result<Option<Windows>, WeightsError> {
    let Some(Windows { side, global }) = default else { return Ok(None) };
    let side = config["window_size"].as_u64().map_or(side, |side| side as usize);
    let global = match &config["global_attn_indexes"] {
        Value::Null => global,
        Value::Array(layers) => layers.iter().filter_map(Value::as_u64).map(|layer| layer as usize).collect(),
        other => return Err(wrong(format!("`global_attn_indexes` is {other}, not a list of layers"))),
    };
    // A side of 0 means no windows anywhere.
    Ok((side > 0).then_some(Windows { side, global }))
}

/// A number for both directions, or one each: height, width.
fn pair(value: &Value, default: [usize; 2]) -> Result<[usize; 2], WeightsError> {
    let number = |value: &Value| value.as_u64().map(|number| number as usize);
    let found = match value {
        Value::Null => Some(default),
        Value::Array(both) => match both.as_slice() {
            [height, width] => number(height).zip(number(width)).map(|(height, width)| [height, width]),
            _ => None,
        },
        one => number(one).map(|side| [side; 2]),
    };
    found.ok_or_else(|| wrong(format!("{value} is not a size")))
}

fn wrong(reason: String) -> WeightsError {
    WeightsError::Format(format!("config.json: {reason}"))
}
