//! From pixels to boxes.

use percept_backbone::{Result, Tensor, Weights, WeightsError};
use serde_json::Value;

use super::backbone::Backbone;
use super::config::{Family, Shape};
use super::decoder::Decoder;
use super::encoder::Encoder;
use super::names::renamed;
use super::selection::Selection;
use crate::scores::{Outputs, Scores};

pub(super) struct Network {
    pub(super) backbone: Backbone,
    pub(super) encoder: Encoder,
    pub(super) selection: Selection,
    pub(super) decoder: Decoder,
}

impl crate::detector::Network for Network {
    const SCORES: Scores = Scores::Sigmoid;
    const IMAGE_PROCESSOR: &'static str = "RTDetrImageProcessor";

    fn load(weights: &Weights, config: &Value, classes: usize) -> Result<Self, WeightsError> {
        let family = match config["model_type"].as_str() {
            Some("rt_detr_v2") => Family::RtDetrV2,
            _ => Family::RtDetr,
        };
        let shape = Shape::of(config, family, classes)?;
        let weights = &renamed(weights);
        let model = weights.at("model");
        let (backbone, channels) = Backbone::load(&model.at("backbone.model"), config, family)?;
        Ok(Self {
            backbone,
            encoder: Encoder::load(&model, &shape.encoder, family, &channels)?,
            selection: Selection::load(&model, &shape, family)?,
            decoder: Decoder::load(weights, &shape)?,
        })
    }

    fn forward(&self, pixel_values: &Tensor) -> Result<Outputs> {
        let maps = self.encoder.forward(&self.backbone.feature_maps(pixel_values)?)?;
        let (logits, boxes) = self.decoder.forward(&self.selection.forward(&maps)?)?;
        Ok(Outputs { logits, boxes, masks: None })
    }
}
