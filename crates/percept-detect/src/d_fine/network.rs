//! From pixels to boxes.

use percept_backbone::{Result, Tensor, Weights, WeightsError};
use serde_json::Value;

use super::config::Refinement;
use super::decoder::Decoder;
use crate::rt_detr::backbone::Backbone;
use crate::rt_detr::config::{Family, Shape};
use crate::rt_detr::encoder::Encoder;
use crate::rt_detr::names::renamed;
use crate::rt_detr::selection::Selection;
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
        let shape = Shape::of(config, Family::DFine, classes)?;
        let refinement = Refinement::of(config, shape.layers)?;
        let weights = &renamed(weights);
        let model = weights.at("model");
        let (backbone, channels) = Backbone::load(&model.at("backbone.model"), config, Family::DFine)?;
        Ok(Self {
            backbone,
            encoder: Encoder::load(&model, &shape.encoder, Family::DFine, &channels)?,
            selection: Selection::load(&model, &shape, Family::DFine)?,
            decoder: Decoder::load(weights, &shape, &refinement)?,
        })
    }

    fn forward(&self, pixel_values: &Tensor) -> Result<Outputs> {
        let maps = self.encoder.forward(&self.backbone.feature_maps(pixel_values)?)?;
        let (logits, boxes) = self.decoder.forward(&self.selection.forward(&maps)?)?;
        Ok(Outputs { logits, boxes, masks: None })
    }
}
