//! The numbers of a GIT, and how a `config.json` states them.

use percept_backbone::checkpoint::{positive, wrong};
use percept_backbone::vit::{VitConfig, VitNames};
use percept_backbone::{BlockShape, WeightsError};
use serde_json::Value;

use crate::bert;

/// What differs between GITs in numbers.
pub(super) struct Shape {
    pub(super) vision: VitConfig,
    pub(super) vision_names: VitNames,
    pub(super) block: BlockShape,
    pub(super) depth: usize,
    pub(super) vocabulary: usize,
    pub(super) positions: usize,
    /// Whether the output matrix is the table of tokens.
    pub(super) tied: bool,
}

impl Shape {
    /// Reads a `config.json`, with the defaults of transformers' `GitConfig` where it is silent.
    pub(super) fn of(config: &Value) -> Result<Self, WeightsError> {
        if !config["num_image_with_embedding"].is_null() {
            let frames = &config["num_image_with_embedding"];
            return Err(wrong(format!(
                "`num_image_with_embedding` is {frames}: models of videos are not supported"
            )));
        }
        let (vision, vision_names) = VitConfig::of_vision(config, "git_vision_model")?;
        Ok(Self {
            vision,
            vision_names,
            block: bert::block(config, 12)?,
            depth: positive(config, "num_hidden_layers", 6)?,
            vocabulary: positive(config, "vocab_size", 30522)?,
            positions: positive(config, "max_position_embeddings", 1024)?,
            tied: config["tie_word_embeddings"].as_bool().unwrap_or(false),
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
        assert_eq!((shape.vision.dim, shape.vision.patch, shape.vision.image), (768, 16, [224; 2]));
        assert_eq!((shape.depth, shape.positions, shape.tied), (6, 1024, false));
    }

    #[test]
    fn what_is_not_supported_is_an_error() {
        for wrong in [json!({"num_image_with_embedding": 6}), json!({"hidden_act": "mish"})] {
            assert!(Shape::of(&wrong).is_err(), "{wrong}");
        }
    }
}
