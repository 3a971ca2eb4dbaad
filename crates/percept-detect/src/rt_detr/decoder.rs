//! The decoder of RT-DETR (`RTDetrDecoder`, `RTDetrV2Decoder`): queries look at each other and at a few points in their
//! boxes, and each layer moves the boxes.

use percept_backbone::{LayerNorm, Linear, Result, Tensor, Weights, WeightsError};

use super::boxes::moved;
use super::config::Shape;
use super::names::head;
use super::queries::QueryLayer;
use super::selection::Selected;
use crate::heads::MlpHead;

#[derive(Debug)]
pub(super) struct Decoder {
    /// From boxes to what queries know of their place.
    positions: MlpHead,
    layers: Vec<Layer>,
    /// Of the last layer; those of the others are for training.
    classes: Linear,
}

#[derive(Debug)]
struct Layer {
    queries: QueryLayer,
    points_norm: LayerNorm,
    boxes: MlpHead,
}

impl Decoder {
    /// `weights` are those of the whole checkpoint.
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let (decoder, dim) = (weights.at("model.decoder"), shape.dim);
        let layer = |index: usize| {
            let own = decoder.at(format!("layers.{index}"));
            Ok(Layer {
                queries: QueryLayer::load(&own, shape, true)?,
                points_norm: LayerNorm::load(&own.at("encoder_attn_layer_norm"), dim, shape.eps)?,
                boxes: MlpHead::load(&head(weights, "bbox_embed", index), &[dim, dim, dim, 4])?,
            })
        };
        Ok(Self {
            positions: MlpHead::load(&decoder.at("query_pos_head"), &[4, 2 * dim, dim])?,
            layers: (0..shape.layers).map(layer).collect::<Result<_, WeightsError>>()?,
            classes: Linear::load(&head(weights, "class_embed", shape.layers - 1), dim, shape.classes)?,
        })
    }

    /// To logits `[batch, queries, classes]` and boxes.
    pub(super) fn forward(&self, selected: &Selected) -> Result<(Tensor, Tensor)> {
        let Selected { memory, levels, queries, boxes } = selected;
        let (mut queries, mut boxes) = (queries.clone(), boxes.clone());
        for layer in &self.layers {
            let positions = self.positions.forward(&boxes)?;
            let x = layer.queries.among(&queries, &positions)?;
            let read = layer.queries.points.forward_onto(&(&x + &positions)?, &boxes, memory, levels, &x)?;
            let x = layer.points_norm.forward(&read)?;
            queries = layer.queries.mlp_norm.forward(&layer.queries.mlp.forward_onto(&x, &x)?)?;
            boxes = moved(&boxes, &layer.boxes.forward(&queries)?)?;
        }
        Ok((self.classes.forward(&queries)?, boxes))
    }
}
