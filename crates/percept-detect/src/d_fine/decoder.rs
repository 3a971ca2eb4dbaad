//! The decoder of D-FINE (`DFineDecoder`).

use percept_backbone::{Activation, D, LayerNorm, Linear, Result, Tensor, Weights, WeightsError};

use super::config::Refinement;
use super::distribution::Places;
use crate::heads::MlpHead;
use crate::rt_detr::boxes::moved;
use crate::rt_detr::config::Shape;
use crate::rt_detr::names::head;
use crate::rt_detr::queries::QueryLayer;
use crate::rt_detr::selection::Selected;

/// Of the norm of gates, which no configuration states.
const GATE_EPS: f64 = 1e-5;
/// The largest number of 16-bit floats, which states are held below.
const LARGEST: f32 = 65504.0;
/// What is known of places is held below.
const LARGEST_POSITION: f32 = 10.0;

#[derive(Debug)]
pub(super) struct Decoder {
    /// From boxes to what queries know of their place.
    positions: MlpHead,
    layers: Vec<Layer>,
    /// Moves the boxes behind the first layer; what comes out is what edges are measured from.
    first: MlpHead,
    places: Places,
    /// Of the last layer; those of the others are for training.
    classes: Linear,
    quality: MlpHead,
    best: usize,
}

#[derive(Debug)]
struct Layer {
    queries: QueryLayer,
    /// How much of queries and of what they read goes on.
    gate: Linear,
    gate_norm: LayerNorm,
    /// Where the edges are, beyond what the layer before says.
    edges: MlpHead,
}

impl Decoder {
    /// `weights` are those of the whole checkpoint.
    pub(super) fn load(
        weights: &Weights,
        shape: &Shape,
        refinement: &Refinement,
    ) -> Result<Self, WeightsError> {
        let (decoder, dim) = (weights.at("model.decoder"), shape.dim);
        let Refinement { bins, best, quality_inner, quality_layers, .. } = *refinement;
        let layer = |index: usize| {
            let own = decoder.at(format!("layers.{index}"));
            Ok(Layer {
                queries: QueryLayer::load(&own, shape, false)?,
                gate: Linear::load(&own.at("gateway.gate"), 2 * dim, 2 * dim)?,
                gate_norm: LayerNorm::load(&own.at("gateway.norm"), dim, GATE_EPS)?,
                edges: MlpHead::load(&head(weights, "bbox_embed", index), &[dim, dim, dim, 4 * (bins + 1)])?,
            })
        };
        // They are trained with the others.
        let number = |name: &str, default: f64| match decoder.has(name) {
            false => Ok(default),
            true => decoder
                .get(name, &[1])
                .and_then(|one| one.to_vec1::<f32>().map_err(WeightsError::Engine))
                .map(|one| f64::from(one[0])),
        };
        let mut quality = vec![quality_inner; quality_layers + 1];
        (quality[0], quality[quality_layers]) = (4 * (best + 1), 1);
        let last = shape.layers - 1;
        Ok(Self {
            positions: MlpHead::load(&decoder.at("query_pos_head"), &[4, 2 * dim, dim])?,
            layers: (0..shape.layers).map(layer).collect::<Result<_, WeightsError>>()?,
            first: MlpHead::load(&decoder.at("pre_bbox_head"), &[dim, dim, dim, 4])?,
            places: Places::new(bins, number("up", refinement.up)?, number("reg_scale", refinement.scale)?),
            classes: Linear::load(&head(weights, "class_embed", last), dim, shape.classes)?,
            quality: MlpHead::load(&decoder.at(format!("lqe_layers.{last}.reg_conf")), &quality)?,
            best,
        })
    }

    /// To logits `[batch, queries, classes]` and boxes.
    pub(super) fn forward(&self, selected: &Selected) -> Result<(Tensor, Tensor)> {
        let Selected { memory, levels, queries, boxes } = selected;
        let (mut queries, mut boxes) = (queries.clone(), boxes.clone());
        // The boxes behind the first layer, and the edges so far.
        let mut so_far: Option<(Tensor, Tensor)> = None;
        for layer in &self.layers {
            let positions = self.positions.forward(&boxes)?.clamp(-LARGEST_POSITION, LARGEST_POSITION)?;
            let before = queries.clone();
            queries = layer.forward(&queries, &positions, &boxes, (memory, levels))?;
            let (start, edges) = match so_far {
                None => (moved(&boxes, &self.first.forward(&queries)?)?, layer.edges.forward(&queries)?),
                Some((start, edges)) => (start, (layer.edges.forward(&(&queries + before)?)? + edges)?),
            };
            boxes = self.places.moved(&start, &edges)?;
            so_far = Some((start, edges));
        }
        let logits = self.classes.forward(&queries)?;
        let Some((_, edges)) = so_far else { return Ok((logits, boxes)) };
        let quality = self.quality.forward(&self.places.certainty(&edges, self.best)?)?;
        Ok((logits.broadcast_add(&quality)?, boxes))
    }
}

impl Layer {
    fn forward(
        &self,
        queries: &Tensor,
        positions: &Tensor,
        boxes: &Tensor,
        (memory, levels): (&Tensor, &[[usize; 2]]),
    ) -> Result<Tensor> {
        let x = self.queries.among(queries, positions)?;
        let read = self.queries.points.read(&(&x + positions)?, boxes, memory, levels)?;
        let gates = Tensor::cat(&[&x, &read], D::Minus1)?;
        let gates = self.gate.forward_activated(&gates, Activation::Sigmoid)?.chunk(2, D::Minus1)?;
        let x = self.gate_norm.forward(&((&gates[0] * x)? + (&gates[1] * read)?)?)?;
        let x = self.queries.mlp.forward_onto(&x, &x)?;
        self.queries.mlp_norm.forward(&x.clamp(-LARGEST, LARGEST)?)
    }
}
