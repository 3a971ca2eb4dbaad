//! Queries that start where pixels are most like a token, and look at themselves, at the text and at the maps
//! (`GroundingDinoDecoder`).

use percept_backbone::{
    Activation, EngineError, LayerNorm, Linear, Mlp, MultiScaleAttention, Result, SourcedAttention, Tensor,
    ToContiguous, Weights, WeightsError, products, sigmoid,
};
use percept_core::Precision;

use super::config::Shape;
use super::encoder::NAMES;
use crate::boxes::{attention_in_boxes, best_rows, encode_boxes, logit, rows_of};
use crate::heads::MlpHead;

/// Width and height of the box that stands at every pixel of the finest map; twice as much at each level behind it.
const PROPOSAL: f32 = 0.05;

#[derive(Debug)]
pub(super) struct Decoder {
    proposal: Linear,
    proposal_norm: LayerNorm,
    proposal_boxes: MlpHead,
    /// What queries are at first: `[1, queries, dim]`.
    first: Tensor,
    marks: [Linear; 2],
    layers: Vec<Layer>,
    norm: LayerNorm,
    /// One for all layers, or one a layer.
    boxes: Vec<MlpHead>,
    queries: usize,
    precision: Precision,
}

#[derive(Debug)]
struct Layer {
    itself: SourcedAttention,
    itself_norm: LayerNorm,
    to_text: SourcedAttention,
    to_text_norm: LayerNorm,
    to_maps: MultiScaleAttention,
    to_maps_norm: LayerNorm,
    mlp: Mlp,
    mlp_norm: LayerNorm,
}

/// What queries say at the end.
#[derive(Debug)]
pub(super) struct Decoded {
    /// How much a query is like a token: `[batch, queries, tokens]`.
    pub(super) logits: Tensor,
    /// Centre x, centre y, width and height, as parts of the image: `[batch, queries, 4]`.
    pub(super) boxes: Tensor,
}

/// What queries look at.
pub(super) struct Memory<'a> {
    /// `[batch, pixels, dim]`.
    pub(super) pixels: &'a Tensor,
    /// `[batch, tokens, dim]`.
    pub(super) words: &'a Tensor,
    /// Rows and columns of the maps.
    pub(super) sizes: &'a [[usize; 2]],
}

impl Decoder {
    /// `weights` stand at the top of the checkpoint.
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let &Shape { dim, queries, eps, .. } = shape;
        let model = weights.at("model");
        let decoder = model.at("decoder");
        let marks = decoder.at("reference_points_head.layers");
        let layer = |index: usize| Layer::load(&decoder.at(format!("layers.{index}")), shape);
        // Where layers share a head, it is stored once or as often as there are layers.
        let heads = (0..shape.decoder_layers).map(|index| weights.at(format!("bbox_embed.{index}")));
        let heads = heads.enumerate().filter(|(index, head)| *index == 0 || head.has("layers.0.weight"));
        Ok(Self {
            proposal: Linear::load(&model.at("enc_output"), dim, dim)?,
            proposal_norm: LayerNorm::load(&model.at("enc_output_norm"), dim, eps)?,
            proposal_boxes: MlpHead::load(&model.at("encoder_output_bbox_embed"), &[dim, dim, dim, 4])?,
            first: model
                .get("query_position_embeddings.weight", &[queries, dim])?
                .unsqueeze(0)
                .map_err(WeightsError::Engine)?,
            marks: [Linear::load(&marks.at("0"), 2 * dim, dim)?, Linear::load(&marks.at("1"), dim, dim)?],
            layers: (0..shape.decoder_layers).map(layer).collect::<Result<_, _>>()?,
            norm: LayerNorm::load(&decoder.at("layer_norm"), dim, eps)?,
            boxes: heads
                .map(|(_, head)| MlpHead::load(&head, &[dim, dim, dim, 4]))
                .collect::<Result<_, _>>()?,
            queries,
            precision: weights.precision(),
        })
    }

    /// From the boxes that [`Decoder::choose`] gives.
    pub(super) fn forward(&self, memory: &Memory<'_>, chosen: &Tensor) -> Result<Decoded> {
        let (batch, _, dim) = memory.pixels.dims3()?;
        let mut references = chosen.clone();
        let mut states = self.first.broadcast_as((batch, self.queries, dim))?.to_contiguous()?;
        let last = self.layers.len() - 1;
        for (index, layer) in self.layers.iter().enumerate() {
            let [wide, narrow] = &self.marks;
            let told = wide.forward_activated(&encode_boxes(&references, dim / 2)?, Activation::Relu)?;
            states = layer.forward(&states, &narrow.forward(&told)?, &references, memory)?;
            if index < last {
                references = self.moved(index, &states, &references)?;
            }
        }
        let states = self.norm.forward(&states)?;
        let boxes = self.moved(last, &states, &references)?;
        Ok(Decoded { logits: products(&states, memory.words, self.precision)?, boxes })
    }

    /// The boxes of the pixels that are most like a token, best first: `[batch, queries, 4]`.
    pub(super) fn choose(&self, memory: &Memory<'_>) -> Result<Tensor> {
        let (batch, pixels, _) = memory.pixels.dims3()?;
        if pixels < self.queries {
            let message = format!("maps of {:?} have no {} places for queries", memory.sizes, self.queries);
            return Err(EngineError::Msg(message));
        }
        let (proposals, inside) = proposals(memory.sizes);
        let device = memory.pixels.device();
        let inside = Tensor::from_vec(inside, (1, pixels, 1), device)?;
        let states = self.proposal.forward(&memory.pixels.broadcast_mul(&inside)?)?;
        let states = self.proposal_norm.forward(&states)?;
        let like = products(memory.words, &states, self.precision)?.transpose(1, 2)?;
        let best = best_rows(&like, &vec![true; pixels], self.queries)?;
        let proposals = Tensor::from_vec(proposals, (1, pixels, 4), device)?;
        let proposals = proposals.broadcast_as((batch, pixels, 4))?.to_contiguous()?;
        let deltas = self.proposal_boxes.forward(&rows_of(&states, &best)?)?;
        sigmoid(&(deltas + rows_of(&proposals, &best)?)?)
    }

    /// Boxes moved as a layer's head says of its states.
    fn moved(&self, layer: usize, states: &Tensor, references: &Tensor) -> Result<Tensor> {
        let head = self.boxes.get(layer).unwrap_or(&self.boxes[0]);
        sigmoid(&(head.forward(states)? + logit(references)?)?)
    }
}

/// The logits of a box at every pixel of all maps, `[pixels * 4]`, and whether it lies inside, 1 or 0. Those that do not are
/// infinite, and their pixels count as nothing; they may be chosen all the same.
fn proposals(sizes: &[[usize; 2]]) -> (Vec<f32>, Vec<f32>) {
    let (mut logits, mut inside) = (Vec::new(), Vec::new());
    for (level, &[rows, columns]) in sizes.iter().enumerate() {
        let side = PROPOSAL * 2.0_f32.powi(level as i32);
        for index in 0..rows * columns {
            let x = ((index % columns) as f32 + 0.5) / columns as f32;
            let y = ((index / columns) as f32 + 0.5) / rows as f32;
            let numbers = [x, y, side, side];
            let valid = numbers.iter().all(|number| *number > 0.01 && *number < 0.99);
            logits.extend(numbers.map(|number| match valid {
                true => (number / (1.0 - number)).ln(),
                false => f32::INFINITY,
            }));
            inside.push(f32::from(u8::from(valid)));
        }
    }
    (logits, inside)
}

impl Layer {
    fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let &Shape { dim, decoder_heads: heads, decoder_inner: inner, eps, .. } = shape;
        let norm = |name: &str| LayerNorm::load(&weights.at(name), dim, eps);
        let attention = |name: &str| SourcedAttention::load(&weights.at(name), NAMES, [dim, dim], heads);
        let up = Linear::load(&weights.at("fc1"), dim, inner)?;
        let down = Linear::load(&weights.at("fc2"), inner, dim)?;
        let read = vec![shape.decoder_points; shape.backbone.stages.len() + 1];
        Ok(Self {
            itself: attention("self_attn")?,
            itself_norm: norm("self_attn_layer_norm")?,
            to_text: attention("encoder_attn_text")?,
            to_text_norm: norm("encoder_attn_text_layer_norm")?,
            to_maps: attention_in_boxes(&weights.at("encoder_attn"), dim, heads, &read)?,
            to_maps_norm: norm("encoder_attn_layer_norm")?,
            mlp: Mlp::new(up, down, shape.activation),
            mlp_norm: norm("final_layer_norm")?,
        })
    }

    fn forward(
        &self,
        states: &Tensor,
        marks: &Tensor,
        references: &Tensor,
        memory: &Memory<'_>,
    ) -> Result<Tensor> {
        let marked = (states + marks)?;
        let states =
            self.itself_norm.forward(&self.itself.forward_onto(&marked, &marked, states, states)?)?;
        let words = memory.words;
        let told = self.to_text.forward_onto(&(&states + marks)?, words, words, &states)?;
        let states = self.to_text_norm.forward(&told)?;
        let marked = (&states + marks)?;
        let seen = self.to_maps.forward_onto(&marked, references, memory.pixels, memory.sizes, &states)?;
        let states = self.to_maps_norm.forward(&seen)?;
        self.mlp_norm.forward(&self.mlp.forward_onto(&states, &states)?)
    }
}
