//! Queries that start at the likeliest places of the map, and look at it around their boxes.

use percept_backbone::{
    Activation, AttentionNames, EngineError, LayerNorm, Linear, Mlp, MultiScaleAttention, Result,
    SourcedAttention, Tensor, ToContiguous, Weights, WeightsError, projections_apart,
};

use super::config::{EPS, Shape};
use crate::boxes::{attention_in_boxes, best_rows, encode_boxes, refine, rows_of};
use crate::heads::MlpHead;

/// Width and height of the box that stands at every pixel.
const PROPOSAL: f32 = 0.05;
/// Of `torch.nn.MultiheadAttention`, its matrices apart.
const NAMES: AttentionNames = AttentionNames { output: "out_proj", ..AttentionNames::PROJ };

/// Choice of the first boxes (`RfDetrModel.generate_topk_proposals`) and decoder (`RfDetrDecoder`).
#[derive(Debug)]
pub(super) struct Decoder {
    proposal: Linear,
    proposal_norm: LayerNorm,
    proposal_classes: Linear,
    proposal_boxes: MlpHead,
    /// What queries are at first, and how the boxes that they get are moved: `[1, queries, dim]` and `[1, queries, 4]`.
    first: Tensor,
    moved: Tensor,
    marks: [Linear; 2],
    layers: Vec<Layer>,
    norm: LayerNorm,
    queries: usize,
    dim: usize,
}

#[derive(Debug)]
struct Layer {
    itself: SourcedAttention,
    itself_norm: LayerNorm,
    to_map: MultiScaleAttention,
    to_map_norm: LayerNorm,
    mlp: Mlp,
    mlp_norm: LayerNorm,
}

impl Decoder {
    pub(super) fn load(weights: &Weights, shape: &Shape, classes: usize) -> Result<Self, WeightsError> {
        let &Shape { dim, queries, groups, .. } = shape;
        let embedding = |name: &str, width: usize| {
            let all = weights.get(name, &[queries * groups, width])?;
            all.narrow(0, 0, queries).and_then(|first| first.unsqueeze(0)).map_err(WeightsError::Engine)
        };
        let weights = &projections_apart(weights);
        let transformer = weights.at("transformer");
        let decoder = transformer.at("decoder");
        let marks = decoder.at("ref_point_head.layers");
        let layer = |index: usize| Layer::load(&decoder.at(format!("layers.{index}")), shape);
        Ok(Self {
            proposal: Linear::load(&transformer.at("enc_output.0"), dim, dim)?,
            proposal_norm: LayerNorm::load(&transformer.at("enc_output_norm.0"), dim, EPS)?,
            proposal_classes: Linear::load(&transformer.at("enc_out_class_embed.0"), dim, classes)?,
            proposal_boxes: MlpHead::load(&transformer.at("enc_out_bbox_embed.0"), &[dim, dim, dim, 4])?,
            first: embedding("query_feat.weight", dim)?,
            moved: embedding("refpoint_embed.weight", 4)?,
            marks: [Linear::load(&marks.at("0"), 2 * dim, dim)?, Linear::load(&marks.at("1"), dim, dim)?],
            layers: (0..shape.decoder_layers).map(layer).collect::<Result<_, _>>()?,
            norm: LayerNorm::load(&decoder.at("norm"), dim, EPS)?,
            queries,
            dim,
        })
    }

    /// The boxes that queries look around, centre and size, on maps `[batch, rows, columns, dim]`: `[batch, queries, 4]`.
    pub(super) fn references(&self, map: &Tensor) -> Result<Tensor> {
        let (_, rows, columns, _) = map.dims4()?;
        let chosen = self.choose(&map.flatten(1, 2)?, [rows, columns])?;
        refine(&chosen, &self.moved.broadcast_as(chosen.dims())?)
    }

    /// Of maps `[batch, rows, columns, dim]` and the references on them: where queries are at the end, `[batch, queries,
    /// dim]`.
    pub(super) fn forward(&self, map: &Tensor, references: &Tensor) -> Result<Tensor> {
        let (batch, rows, columns, dim) = map.dims4()?;
        let memory = map.flatten(1, 2)?;
        let [wide, narrow] = &self.marks;
        let marks = wide.forward_activated(&encode_boxes(references, dim / 2)?, Activation::Relu)?;
        let marks = narrow.forward(&marks)?;
        let mut states = self.first.broadcast_as((batch, self.queries, self.dim))?.to_contiguous()?;
        for layer in &self.layers {
            states = layer.forward(&states, &marks, references, &memory, [rows, columns])?;
        }
        self.norm.forward(&states)
    }

    /// The boxes of the pixels that look most like something, best first: `[batch, queries, 4]`.
    fn choose(&self, memory: &Tensor, size: [usize; 2]) -> Result<Tensor> {
        let (batch, pixels, _) = memory.dims3()?;
        if pixels < self.queries {
            let message = format!("a map of {size:?} pixels has no {} places for queries", self.queries);
            return Err(EngineError::Msg(message));
        }
        let (proposals, inside) = proposals(size);
        let device = memory.device();
        // What is no proposal counts as nothing.
        let memory = match inside.iter().all(|inside| *inside) {
            true => memory.clone(),
            false => {
                let inside = inside.iter().map(|inside| f32::from(u8::from(*inside))).collect();
                memory.broadcast_mul(&Tensor::from_vec(inside, (1, pixels, 1), device)?)?
            }
        };
        let states = self.proposal_norm.forward(&self.proposal.forward(&memory)?)?;
        let best = best_rows(&self.proposal_classes.forward(&states)?, &inside, self.queries)?;
        let states = rows_of(&states, &best)?;
        let proposals = Tensor::from_vec(proposals, (1, pixels, 4), device)?;
        let proposals = proposals.broadcast_as((batch, pixels, 4))?.to_contiguous()?;
        refine(&rows_of(&proposals, &best)?, &self.proposal_boxes.forward(&states)?)
    }
}

/// A box at every pixel of a map, `[pixels * 4]`, and whether its centre is not at the very edge.
fn proposals([rows, columns]: [usize; 2]) -> (Vec<f32>, Vec<bool>) {
    let mut boxes = Vec::with_capacity(4 * rows * columns);
    let mut inside = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        for column in 0..columns {
            let x = (column as f32 + 0.5) / columns as f32;
            let y = (row as f32 + 0.5) / rows as f32;
            let valid = [x, y].iter().all(|at| *at > 0.01 && *at < 0.99);
            boxes.extend(if valid { [x, y, PROPOSAL, PROPOSAL] } else { [0.0; 4] });
            inside.push(valid);
        }
    }
    (boxes, inside)
}

impl Layer {
    fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let &Shape { dim, inner, .. } = shape;
        let norm = |name: &str| LayerNorm::load(&weights.at(name), dim, EPS);
        let up = Linear::load(&weights.at("linear1"), dim, inner)?;
        let down = Linear::load(&weights.at("linear2"), inner, dim)?;
        let cross = weights.at("cross_attn");
        Ok(Self {
            itself: SourcedAttention::load(&weights.at("self_attn"), NAMES, [dim, dim], shape.self_heads)?,
            itself_norm: norm("norm1")?,
            to_map: attention_in_boxes(&cross, dim, shape.cross_heads, &[shape.points])?,
            to_map_norm: norm("norm2")?,
            mlp: Mlp::new(up, down, shape.activation),
            mlp_norm: norm("norm3")?,
        })
    }

    fn forward(
        &self,
        states: &Tensor,
        marks: &Tensor,
        references: &Tensor,
        memory: &Tensor,
        size: [usize; 2],
    ) -> Result<Tensor> {
        let marked = (states + marks)?;
        let states = self.itself.forward_onto(&marked, &marked, states, states)?;
        let states = self.itself_norm.forward(&states)?;
        let marked = (&states + marks)?;
        let states = self.to_map.forward_onto(&marked, references, memory, &[size], &states)?;
        let states = self.to_map_norm.forward(&states)?;
        self.mlp_norm.forward(&self.mlp.forward_onto(&states, &states)?)
    }
}
