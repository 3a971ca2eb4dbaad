//! The network: backbone, pixel decoder, decoder.

use percept_backbone::swin::{Swin, SwinConfig};
use percept_backbone::{Linear, Result, Tensor, Weights, WeightsError};
use serde_json::{Value, json};

use super::config::Shape;
use super::decoder::Decoder;
use super::pixel_decoder::PixelDecoder;
use crate::universal::{Network as Universal, Outputs, Recipe};

/// Mask2Former from pixels to masks and classes.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) backbone: Swin,
    pub(super) pixels: PixelDecoder,
    pub(super) queries: Decoder,
    classes: Linear,
}

impl Universal for Network {
    const RECIPE: Recipe = Recipe::Mask2Former;
    const IMAGE_PROCESSOR: &'static str = "Mask2FormerImageProcessor";

    fn load(weights: &Weights, config: &Value, classes: usize) -> Result<Self, WeightsError> {
        let shape = Shape::of(config)?;
        let backbone = match &config["backbone_config"] {
            // What transformers takes where there is none: a small Swin, all of its stages.
            Value::Null => json!({"depths": [2, 2, 18, 2], "out_indices": [1, 2, 3, 4]}),
            stated => stated.clone(),
        };
        let backbone = SwinConfig::of(&backbone)?;
        let channels = backbone.stages.iter().map(|stage| backbone.channels(*stage)).collect::<Vec<_>>();
        let (level, module) =
            (weights.at("model.pixel_level_module"), weights.at("model.transformer_module"));
        Ok(Self {
            backbone: Swin::load(&level.at("encoder"), &backbone)?,
            pixels: PixelDecoder::load(&level.at("decoder"), &shape, &channels)?,
            queries: Decoder::load(&module, &shape)?,
            classes: Linear::load(&weights.at("class_predictor"), shape.hidden, classes + 1)?,
        })
    }

    fn forward(&self, pixel_values: &Tensor) -> Result<Outputs> {
        let features = self.pixels.forward(&self.backbone.feature_maps(pixel_values)?)?;
        let (states, masks) = self.queries.forward(&features)?;
        Ok(Outputs { masks, classes: self.classes.forward(&states)? })
    }
}
