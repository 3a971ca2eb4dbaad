//! The numbers of a pair, and how a `config.json` states them.

use percept_backbone::checkpoint::{activation, positive, wrong};
use percept_backbone::swin::SwinConfig;
use percept_backbone::vit::{VitConfig, VitNames};
use percept_backbone::{Activation, BlockShape, WeightsError};
use serde_json::{Value, json};

/// What differs between pairs in numbers.
pub(super) struct Shape {
    pub(super) encoder: EncoderShape,
    pub(super) block: BlockShape,
    pub(super) depth: usize,
    pub(super) vocabulary: usize,
    pub(super) positions: usize,
    /// Whether the output matrix is the table of tokens.
    pub(super) tied: bool,
}

/// An image encoder.
pub(super) enum EncoderShape {
    Vit(Box<VitConfig>, Box<VitNames>),
    Swin(SwinConfig),
}

impl EncoderShape {
    /// Channels of what comes out.
    pub(super) fn channels(&self) -> usize {
        match self {
            Self::Vit(config, _) => config.dim,
            Self::Swin(config) => config.channels(config.depths.len() - 1),
        }
    }
}

impl Shape {
    /// Reads a `config.json`, with the defaults of transformers' classes where it is silent.
    pub(super) fn of(config: &Value) -> Result<Self, WeightsError> {
        let (encoder, decoder) = (&config["encoder"], &config["decoder"]);
        let kind = |part: &Value| part["model_type"].as_str().unwrap_or_default().to_owned();
        let encoder = match kind(encoder).as_str() {
            "vit" | "deit" => {
                let (config, names) = VitConfig::of(encoder)?;
                EncoderShape::Vit(Box::new(config), Box::new(names))
            }
            "swin" => {
                let config = SwinConfig::of(encoder)?;
                let last = config.depths.len() - 1;
                EncoderShape::Swin(SwinConfig { stages: vec![last], ..config })
            }
            other => {
                return Err(wrong(format!(
                    "`encoder.model_type` is `{other}`; vit, deit and swin are supported"
                )));
            }
        };
        if kind(decoder) != "gpt2" {
            let kind = kind(decoder);
            return Err(wrong(format!("`decoder.model_type` is `{kind}`; gpt2 is supported")));
        }
        for (name, only) in [
            ("scale_attn_weights", json!(true)),
            ("scale_attn_by_inverse_layer_idx", json!(false)),
            ("add_cross_attention", json!(true)),
        ] {
            if !decoder[name].is_null() && decoder[name] != only {
                return Err(wrong(format!(
                    "`decoder.{name}` is {}; only {only} is supported",
                    decoder[name]
                )));
            }
        }
        if !decoder["cross_attention_hidden_size"].is_null() {
            let size = &decoder["cross_attention_hidden_size"];
            return Err(wrong(format!(
                "`decoder.cross_attention_hidden_size` is {size}, which is not supported"
            )));
        }
        let dim = positive(decoder, "n_embd", 768)?;
        Ok(Self {
            encoder,
            block: BlockShape {
                dim,
                heads: positive(decoder, "n_head", 12)?,
                hidden: positive(decoder, "n_inner", 4 * dim)?,
                activation: activation(decoder, "activation_function", Activation::GeluTanh)?,
                eps: decoder["layer_norm_epsilon"].as_f64().unwrap_or(1e-5),
            },
            depth: positive(decoder, "n_layer", 12)?,
            vocabulary: positive(decoder, "vocab_size", 50257)?,
            positions: positive(decoder, "n_positions", 1024)?,
            tied: decoder["tie_word_embeddings"].as_bool().unwrap_or(true),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_stated_is_the_references_default() {
        let shape = Shape::of(&json!({"encoder": {"model_type": "vit"}, "decoder": {"model_type": "gpt2"}}));
        let shape = shape.unwrap();
        assert_eq!((shape.encoder.channels(), shape.block.dim, shape.block.hidden), (768, 768, 3072));
        assert_eq!((shape.depth, shape.positions, shape.vocabulary, shape.tied), (12, 1024, 50257, true));
    }

    #[test]
    fn what_is_not_supported_is_an_error() {
        for (part, name, value) in [
            ("encoder", "model_type", json!("beit")),
            ("decoder", "model_type", json!("bert")),
            ("decoder", "cross_attention_hidden_size", json!(64)),
            ("decoder", "scale_attn_by_inverse_layer_idx", json!(true)),
            ("decoder", "activation_function", json!("mish")),
        ] {
            let mut config = json!({"encoder": {"model_type": "vit"}, "decoder": {"model_type": "gpt2"}});
            config[part][name] = value;
            assert!(Shape::of(&config).is_err(), "{part}.{name}");
        }
    }
}
