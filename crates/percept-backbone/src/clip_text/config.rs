//! The numbers of a text encoder, and how a `config.json` states them.

use serde::Deserialize;
use serde_json::Value;

use crate::activation::Activation;
use crate::weights::WeightsError;

/// What differs between text encoders of CLIP in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipTextConfig {
    /// Channels of a token.
    pub dim: usize,
    /// Layers.
    pub depth: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Channels inside the MLP.
    pub hidden: usize,
    /// Tokens that there are.
    pub vocabulary: usize,
    /// Tokens that a text may have, its start and its end among them.
    pub positions: usize,
    /// Inside the MLP.
    pub activation: Activation,
    /// Of the norms.
    pub eps: f64,
    /// Which token the vector is taken from.
    pub end: EndOfText,
}

/// Which token stands for the whole text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndOfText {
    /// The first of the highest number: the end of text has the last number of OpenAI's vocabulary. Configurations
    /// that say `eos_token_id: 2`, as all did before transformers 4.31, mean this one.
    Highest,
    /// The first of this number.
    Token(u32),
}

/// `text_config`, with the defaults of transformers' `CLIPTextConfig`.
#[derive(Deserialize)]
#[serde(default)]
struct Stated {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    eos_token_id: u32,
}

impl Default for Stated {
    fn default() -> Self {
        Self {
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: "quick_gelu".into(),
            layer_norm_eps: 1e-5,
            eos_token_id: 49407,
        }
    }
}

impl ClipTextConfig {
    /// Reads the `text_config` of a `config.json`, or what else describes a text encoder alone.
    ///
    /// # Errors
    /// For values that make no sense.
    pub fn of(config: &Value) -> Result<Self, WeightsError> {
        let wrong = |reason: String| WeightsError::Format(format!("config.json: {reason}"));
        let stated = match config {
            Value::Null => Stated::default(),
            given => Stated::deserialize(given).map_err(|error| wrong(error.to_string()))?,
        };
        let activation = Activation::from_config(&stated.hidden_act)
            .ok_or_else(|| wrong(format!("`hidden_act` is `{}`, which is unknown", stated.hidden_act)))?;
        Ok(Self {
            dim: stated.hidden_size,
            depth: stated.num_hidden_layers,
            heads: stated.num_attention_heads,
            hidden: stated.intermediate_size,
            vocabulary: stated.vocab_size,
            positions: stated.max_position_embeddings,
            activation,
            eps: stated.layer_norm_eps,
            end: match stated.eos_token_id {
                2 => EndOfText::Highest,
                token => EndOfText::Token(token),
            },
        })
    }
}

impl EndOfText {
    /// Where a text ends: the first if the token is not there.
    pub fn position(self, ids: &[u32]) -> usize {
        let end = match self {
            Self::Highest => ids.iter().copied().max().unwrap_or(0),
            Self::Token(token) => token,
        };
        ids.iter().position(|id| *id == end).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_stated_is_openais_base_model() {
        let of = |value| ClipTextConfig::of(&value).unwrap();
        let base = of(Value::Null);
        assert_eq!((base.dim, base.depth, base.heads, base.hidden, base.positions), (512, 12, 8, 2048, 77));
        assert_eq!((base.activation, base.end), (Activation::QuickGelu, EndOfText::Token(49407)));
        let old = of(json!({"eos_token_id": 2, "hidden_act": "gelu", "hidden_size": 1024}));
        assert_eq!((old.dim, old.activation, old.end), (1024, Activation::GeluErf, EndOfText::Highest));
        for wrong in [json!({"hidden_act": "mish"}), json!({"hidden_size": "large"})] {
            assert!(ClipTextConfig::of(&wrong).is_err());
        }
    }

    #[test]
    fn a_text_ends_where_its_end_is_first() {
        assert_eq!(EndOfText::Highest.position(&[7, 3, 9, 9, 2]), 2);
        assert_eq!(EndOfText::Token(9).position(&[7, 30, 9, 9]), 2);
        assert_eq!(EndOfText::Token(9).position(&[7, 30]), 0);
        assert_eq!(EndOfText::Highest.position(&[]), 0);
    }
}
