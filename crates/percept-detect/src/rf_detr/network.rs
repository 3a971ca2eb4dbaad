//! The network: encoder, projector, decoder, and a head for boxes or boxes and masks.

use percept_backbone::{Linear, Result, Tensor, Weights, WeightsError};
use serde_json::Value;

use super::config::Shape;
use super::decoder::Decoder;
use super::encoder::Encoder;
use super::masks::MaskHead;
use super::projector::Projector;
use crate::boxes::refine;
use crate::detector::Network;
use crate::heads::MlpHead;
use crate::scores::{Outputs, Scores};

/// RF-DETR from pixels to boxes.
#[derive(Debug)]
pub(super) struct RfDetr {
    encoder: Encoder,
    projector: Projector,
    pub(super) decoder: Decoder,
    classes: Linear,
    boxes: MlpHead,
    masks: Option<MaskHead>,
}

impl Network for RfDetr {
    const SCORES: Scores = Scores::Sigmoid;
    const IMAGE_PROCESSOR: &'static str = "RfDetrImageProcessor";

    fn load(weights: &Weights, config: &Value, classes: usize) -> Result<Self, WeightsError> {
        let shape = Shape::of(config)?;
        let backbone = weights.at("backbone.0");
        let input = shape.backbone.vit.dim * shape.backbone.stages.len();
        let masks = weights.at("segmentation_head");
        Ok(Self {
            encoder: Encoder::load(&backbone.at("encoder.encoder"), &shape.backbone)?,
            projector: Projector::load(&backbone.at("projector"), input, &shape)?,
            decoder: Decoder::load(weights, &shape, classes)?,
            classes: Linear::load(&weights.at("class_embed"), shape.dim, classes)?,
            boxes: MlpHead::load(&weights.at("bbox_embed"), &[shape.dim, shape.dim, shape.dim, 4])?,
            masks: masks.has("bias").then(|| MaskHead::load(&masks, &shape)).transpose()?,
        })
    }

    fn forward(&self, pixel_values: &Tensor) -> Result<Outputs> {
        let (_, _, height, width) = pixel_values.dims4()?;
        let map = self.map(pixel_values)?;
        let references = self.decoder.references(&map)?;
        let states = self.decoder.forward(&map, &references)?;
        let masks = self.masks.as_ref().map(|head| head.forward(&map, &states, [height, width]));
        Ok(Outputs {
            logits: self.classes.forward(&states)?,
            boxes: refine(&references, &self.boxes.forward(&states)?)?,
            masks: masks.transpose()?,
        })
    }
}

impl RfDetr {
    /// The map that queries look at, `[batch, rows, columns, dim]`.
    pub(super) fn map(&self, pixel_values: &Tensor) -> Result<Tensor> {
        self.projector.forward(&self.encoder.forward(pixel_values)?)
    }
}
