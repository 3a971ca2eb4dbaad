//! The numbers of a BLIP, and how a `config.json` states them.

use percept_backbone::checkpoint::{count, positive};
use percept_backbone::vit::{VitConfig, VitNames};
use percept_backbone::{BlockShape, WeightsError};
use serde_json::Value;

use crate::bert;

/// What differs between BLIPs in numbers.
pub(super) struct Shape {
    pub(super) vision: VitConfig,
    pub(super) vision_names: VitNames,
    pub(super) block: BlockShape,
    pub(super) depth: usize,
    pub(super) vocabulary: usize,
    pub(super) positions: usize,
    /// Whether the output matrix is the table of tokens.
    pub(super) tied: bool,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) pad: u32,
}

impl Shape {
    /// Reads a `config.json`, with the defaults of transformers' `BlipConfig` where it is silent.
    pub(super) fn of(config: &Value) -> Result<Self, WeightsError> {
        let (vision, vision_names) = VitConfig::of_vision(config, "blip_vision_model")?;
        let text = &config["text_config"];
        let token = |name, default| count(text, name, default).map(|id| id as u32);
        Ok(Self {
            vision,
            vision_names,
            block: bert::block(text, 8)?,
            depth: positive(text, "num_hidden_layers", 12)?,
            vocabulary: positive(text, "vocab_size", 30524)?,
            positions: positive(text, "max_position_embeddings", 512)?,
            tied: config["tie_word_embeddings"].as_bool().unwrap_or(true),
            start: token("bos_token_id", 30522)?,
            end: token("sep_token_id", 102)?,
            pad: token("pad_token_id", 0)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_stated_is_the_references_default() {
        let shape = Shape::of(&json!({})).unwrap();
        assert_eq!((shape.vision.dim, shape.vision.image, shape.block.heads), (768, [384; 2], 8));
        assert_eq!((shape.start, shape.end, shape.pad, shape.vocabulary), (30522, 102, 0, 30524));
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for wrong in [
            json!({"text_config": {"hidden_act": "mish"}}),
            json!({"text_config": {"hidden_size": 0}}),
            json!({"text_config": {"bos_token_id": "a"}}),
        ] {
            assert!(Shape::of(&wrong).is_err(), "{wrong}");
        }
    }
}
