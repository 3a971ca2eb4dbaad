//! The numbers of a CoCa, and how an `open_clip_config.json` states them.

use percept_backbone::checkpoint::{count, positive};
use percept_backbone::vit::{ClassToken, FinalNorm, Resampling, VitConfig};
use percept_backbone::{Activation, BlockShape, WeightsError};
use serde_json::{Value, json};

/// Of all norms; a configuration that states another is refused.
pub(super) const EPS: f64 = 1e-5;

/// What differs between CoCas in numbers.
pub(super) struct Shape {
    pub(super) vision: VitConfig,
    /// Channels of what queries make of a picture, and of the vectors that are compared.
    pub(super) embedding: usize,
    pub(super) queries: usize,
    pub(super) query_heads: usize,
    pub(super) text: Tower,
    /// The layers that look at the picture.
    pub(super) decoder: Tower,
    pub(super) vocabulary: usize,
    /// Tokens that a text may have, its start and its end among them.
    pub(super) context: usize,
    /// The token that fills up texts.
    pub(super) pad: u32,
    /// Whether what layers add is multiplied by a factor a channel (layer scale).
    pub(super) scaled: bool,
    /// As `preprocessor_config.json` would state it.
    pub(super) preparation: Value,
}

/// Layers over text.
pub(super) struct Tower {
    pub(super) block: BlockShape,
    pub(super) depth: usize,
}

impl Shape {
    /// Reads an `open_clip_config.json`, with the defaults of open_clip's `CLIPVisionCfg`, `CLIPTextCfg` and
    /// `MultimodalCfg` where it is silent.
    pub(super) fn of(config: &Value) -> Result<Self, WeightsError> {
        let model = &config["model_cfg"];
        let (vision, text, decoder) = (&model["vision_cfg"], &model["text_cfg"], &model["multimodal_cfg"]);
        if !decoder.is_object() {
            return Err(wrong("there is no `multimodal_cfg`: it is no CoCa"));
        }
        for (part, name) in
            UNSUPPORTED.iter().flat_map(|(part, names)| names.iter().map(move |name| (*part, *name)))
        {
            let value = &model[part][name];
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return Err(wrong(format!("`{part}.{name}` is {value}, which is not supported")));
            }
        }
        for (part, name, only) in [
            ("vision_cfg", "attentional_pool", json!(true)),
            ("vision_cfg", "pool_type", json!("tok")),
            ("vision_cfg", "pos_embed_type", json!("learnable")),
            ("text_cfg", "embed_cls", json!(true)),
            ("text_cfg", "proj_type", json!("linear")),
        ] {
            let value = &model[part][name];
            let silent = value.is_null() && !["attentional_pool", "embed_cls"].contains(&name);
            if !silent && *value != only {
                return Err(wrong(format!("`{part}.{name}` is {value}; only {only} is supported")));
            }
        }
        let activation = match model["quick_gelu"].as_bool() {
            Some(true) => Activation::QuickGelu,
            _ => Activation::GeluErf,
        };
        let scaled = |config: &Value| !config["ls_init_value"].is_null();
        if scaled(text) != scaled(decoder) || scaled(text) != scaled(vision) {
            return Err(wrong("`ls_init_value` is stated for a part alone, which is not supported"));
        }
        let ratio = |config: &Value| config["mlp_ratio"].as_f64().unwrap_or(4.0);
        let tower = |config: &Value| {
            let dim = positive(config, "width", 512)?;
            let hidden = (dim as f64 * ratio(config)) as usize;
            let heads = positive(config, "heads", 8)?;
            let block = BlockShape { dim, heads, hidden, activation, eps: EPS };
            Ok::<_, WeightsError>(Tower { block, depth: positive(config, "layers", 12)? })
        };
        let width = positive(vision, "width", 768)?;
        let image = sides(vision, "image_size", 224)?;
        let [patch, across] = sides(vision, "patch_size", 16)?;
        if patch != across {
            return Err(wrong(format!("`vision_cfg.patch_size` is {}", vision["patch_size"])));
        }
        Ok(Self {
            vision: VitConfig {
                dim: width,
                depth: positive(vision, "layers", 12)?,
                heads: width / positive(vision, "head_width", 64)?,
                hidden: (width as f64 * ratio(vision)) as usize,
                activation,
                eps: EPS,
                channels: 3,
                patch,
                padding: 0,
                image,
                class_token: ClassToken::First,
                distilled: false,
                registers: 0,
                trailing: 0,
                resampling: Resampling::BicubicAntialiased,
                final_norm: FinalNorm::Absent,
                windows: None,
                relative_positions: false,
                relative_bias: false,
                experts: None,
            },
            embedding: positive(model, "embed_dim", 512)?,
            queries: positive(vision, "attn_pooler_queries", 256)?,
            query_heads: positive(vision, "attn_pooler_heads", 8)?,
            text: tower(text)?,
            decoder: tower(decoder)?,
            vocabulary: positive(text, "vocab_size", 49408)?,
            context: positive(text, "context_length", 77)?.min(positive(decoder, "context_length", 77)?),
            pad: count(text, "pad_id", 0)? as u32,
            scaled: scaled(text),
            preparation: preparation(&config["preprocess_cfg"], image)?,
        })
    }
}

/// What changes results and no published CoCa has.
const UNSUPPORTED: [(&str, &[&str]); 3] = [
    (
        "vision_cfg",
        &[
            "timm_model_name",
            "no_ln_pre",
            "act_kwargs",
            "norm_kwargs",
            "block_type",
            "qk_norm",
            "scaled_cosine_attn",
            "scale_heads",
            "scale_attn_inner",
            "scale_attn",
            "scale_fc",
        ],
    ),
    (
        "text_cfg",
        &[
            "hf_model_name",
            "hf_tokenizer_name",
            "no_causal_mask",
            "proj_bias",
            "act_kwargs",
            "norm_kwargs",
            "block_type",
            "qk_norm",
            "scaled_cosine_attn",
            "scale_heads",
            "scale_attn_inner",
            "scale_attn",
            "scale_fc",
            "correct_cls_mask",
            "tokenizer_mode",
        ],
    ),
    ("multimodal_cfg", &["hf_model_name", "act_kwargs", "norm_kwargs"]),
];

/// open_clip's `image_transform` for inference, as the configuration of CLIP's image processor.
fn preparation(stated: &Value, [height, width]: [usize; 2]) -> Result<Value, WeightsError> {
    for (name, only) in [("resize_mode", "shortest"), ("interpolation", "bicubic"), ("mode", "RGB")] {
        if stated[name].as_str().is_some_and(|value| value != only) {
            return Err(wrong(format!(
                "`preprocess_cfg.{name}` is {}; only {only} is supported",
                stated[name]
            )));
        }
    }
    if height != width {
        return Err(wrong(format!("pictures of {height} by {width} pixels are not supported")));
    }
    let or = |name: &str, default: Value| if stated[name].is_null() { default } else { stated[name].clone() };
    Ok(json!({
        "size": {"shortest_edge": width}, "crop_size": {"height": height, "width": width}, "resample": 3,
        "image_mean": or("mean", json!([0.48145466, 0.4578275, 0.40821073])),
        "image_std": or("std", json!([0.26862954, 0.26130258, 0.27577711])),
    }))
}

/// A side, or height and width.
fn sides(config: &Value, name: &str, default: usize) -> Result<[usize; 2], WeightsError> {
    let value = &config[name];
    let number =
        |value: &Value| value.as_u64().filter(|side| (1..1 << 16).contains(side)).map(|side| side as usize);
    let found = match value {
        Value::Null => Some([default; 2]),
        Value::Array(both) => match both.as_slice() {
            [height, width] => number(height).zip(number(width)).map(|(height, width)| [height, width]),
            _ => None,
        },
        one => number(one).map(|side| [side; 2]),
    };
    found.ok_or_else(|| wrong(format!("`{name}` is {value}, not a size")))
}

fn wrong(reason: impl std::fmt::Display) -> WeightsError {
    WeightsError::Format(format!("open_clip_config.json: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// open_clip's `coca_ViT-B-32.json`.
    fn base() -> Value {
        json!({"model_cfg": {
            "embed_dim": 512,
            "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32,
                           "attentional_pool": true, "attn_pooler_heads": 8, "output_tokens": true},
            "text_cfg": {"context_length": 76, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12,
                         "embed_cls": true, "output_tokens": true},
            "multimodal_cfg": {"context_length": 76, "vocab_size": 49408, "width": 512, "heads": 8,
                               "layers": 12, "attn_pooler_heads": 8},
            "custom_text": true,
        }})
    }

    #[test]
    fn what_is_not_stated_is_the_references_default() {
        let shape = Shape::of(&base()).unwrap();
        assert_eq!(
            (shape.vision.heads, shape.vision.hidden, shape.queries, shape.context),
            (12, 3072, 256, 76)
        );
    }

    #[test]
    fn what_is_not_supported_is_an_error() {
        for (part, name, value) in [
            ("vision_cfg", "timm_model_name", json!("vit_base_patch32_224")),
            ("vision_cfg", "attentional_pool", json!("parallel")),
            ("vision_cfg", "patch_size", json!(0)),
            ("text_cfg", "embed_cls", json!(false)),
            ("text_cfg", "hf_model_name", json!("roberta-base")),
            ("multimodal_cfg", "ls_init_value", json!(0.1)),
        ] {
            let mut config = base();
            config["model_cfg"][part][name] = value;
            let error = Shape::of(&config).err().unwrap_or_else(|| panic!("{part}.{name}"));
            assert!(format!("{error}").contains(name), "{error}");
        }
        assert!(Shape::of(&json!({"model_cfg": {}})).is_err());
    }
}
