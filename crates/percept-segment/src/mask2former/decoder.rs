//! Queries that look at the pixel decoder's maps in turn, each where its mask is so far
//! (`Mask2FormerTransformerModule`).

use percept_backbone::sine_positions;
use percept_backbone::{
    Activation, Alignment, AttentionNames, Conv2d, ConvShape, DType, Filter, LayerNorm, Linear, Mlp, Result,
    SourcedAttention, Tensor, ToContiguous, Weights, WeightsError, products, projections_apart, resize,
};

use percept_core::Precision;

use super::config::{EPS, LEVELS, Shape};
use super::pixel_decoder::Features;

/// What is added to the score of a pixel that lies outside of a query's mask.
const UNSEEN: f64 = -1e9;

#[derive(Debug)]
pub(super) struct Decoder {
    /// Where the pixel decoder has other channels, by level.
    projections: Vec<Option<Conv2d>>,
    /// `[levels, dim]`.
    levels: Tensor,
    /// Of the queries, `[1, queries, dim]`: what they are at first, and what marks them in each attention.
    first: Tensor,
    marks: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
    /// From a query to the weights of its mask.
    embedder: [Linear; 3],
    precision: Precision,
}

#[derive(Debug)]
struct Layer {
    to_map: SourcedAttention,
    to_map_norm: LayerNorm,
    itself: SourcedAttention,
    itself_norm: LayerNorm,
    mlp: Mlp,
    mlp_norm: LayerNorm,
}

/// A map that queries look at.
struct Level {
    /// `[batch, pixels, dim]`, with and without places.
    keys: Tensor,
    values: Tensor,
    /// The features that masks are read from, at this level's size: `[batch, pixels, mask features]`.
    masks: Tensor,
}

impl Decoder {
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let weights = &projections_apart(weights);
        let dim = shape.hidden;
        let projection = |level: usize| {
            let weights = weights.at(format!("input_projections.{level}"));
            let shape = ConvShape::square(dim, shape.features, 1);
            weights.has("weight").then(|| Conv2d::load(&weights, shape)).transpose()
        };
        let queries =
            |name: &str| weights.get(name, &[shape.queries, dim])?.unsqueeze(0).map_err(WeightsError::Engine);
        let decoder = weights.at("decoder");
        let embedder = decoder.at("mask_predictor.mask_embedder");
        Ok(Self {
            projections: (0..LEVELS).map(projection).collect::<Result<_, _>>()?,
            levels: weights.get("level_embed.weight", &[LEVELS, dim])?,
            first: queries("queries_features.weight")?,
            marks: queries("queries_embedder.weight")?,
            layers: (0..shape.decoder_layers)
                .map(|layer| Layer::load(&decoder.at(format!("layers.{layer}")), shape))
                .collect::<Result<_, _>>()?,
            norm: LayerNorm::load(&decoder.at("layernorm"), dim, EPS)?,
            embedder: [
                Linear::load(&embedder.at("0.0"), dim, dim)?,
                Linear::load(&embedder.at("1.0"), dim, dim)?,
                Linear::load(&embedder.at("2.0"), dim, shape.mask_features)?,
            ],
            precision: weights.precision(),
        })
    }

    /// The last states of the queries, normalised, `[batch, queries, dim]`, and their mask logits `[batch, queries, rows,
    /// columns]`.
    pub(super) fn forward(&self, features: &Features) -> Result<(Tensor, Tensor)> {
        let levels = features.levels.iter().enumerate();
        let levels =
            levels.map(|(index, map)| self.level(index, map, &features.masks)).collect::<Result<Vec<_>>>()?;
        let (batch, _, rows, columns) = features.masks.dims4()?;
        let like = |x: &Tensor| x.broadcast_as((batch, x.dim(1)?, x.dim(2)?))?.to_contiguous();
        let (mut states, marks) = (like(&self.first)?, like(&self.marks)?);
        for (index, layer) in self.layers.iter().enumerate() {
            let level = &levels[index % LEVELS];
            let weights = self.weights_of_masks(&self.norm.forward(&states)?)?;
            let bias = unseen(&products(&weights, &level.masks, self.precision)?)?;
            states = layer.forward(&states, &marks, level, &bias)?;
        }
        let states = self.norm.forward(&states)?;
        let masks = products(&self.weights_of_masks(&states)?, &by_pixel(&features.masks)?, self.precision)?;
        let queries = states.dim(1)?;
        Ok((states, masks.reshape((batch, queries, rows, columns))?))
    }

    fn level(&self, index: usize, map: &Tensor, masks: &Tensor) -> Result<Level> {
        let projected = match &self.projections[index] {
            Some(projection) => projection.forward(map)?,
            None => map.clone(),
        };
        let (_, dim, rows, columns) = projected.dims4()?;
        let values = projected.flatten_from(2)?.transpose(1, 2)?.broadcast_add(&self.levels.get(index)?)?;
        // Masks are sums over these features, so it is the same whether they or the masks are made smaller.
        let masks = by_pixel(&resize(masks, [rows, columns], Filter::Bilinear, Alignment::Edges)?)?;
        Ok(Level {
            keys: values.broadcast_add(&sine_positions([rows, columns], dim, 10_000.0, map.device())?)?,
            values,
            masks,
        })
    }

    /// By what the features of a mask are multiplied: `[batch, queries, mask features]`.
    fn weights_of_masks(&self, states: &Tensor) -> Result<Tensor> {
        let [first, second, third] = &self.embedder;
        let inner = first.forward_activated(states, Activation::Relu)?;
        third.forward(&second.forward_activated(&inner, Activation::Relu)?)
    }
}

/// `[batch, features, rows, columns]` to `[batch, rows * columns, features]`.
fn by_pixel(map: &Tensor) -> Result<Tensor> {
    map.flatten_from(2)?.transpose(1, 2)?.to_contiguous()
}

/// From mask logits `[batch, queries, pixels]` to what is added to the scores, `[batch, 1, queries, pixels]`. A query
/// without a mask sees everything.
fn unseen(masks: &Tensor) -> Result<Tensor> {
    let outside = masks.lt(0.0)?.to_dtype(DType::F32)?;
    let somewhere = (1.0 - outside.min_keepdim(2)?)?;
    (outside.broadcast_mul(&somewhere)? * UNSEEN)?.unsqueeze(1)
}

impl Layer {
    fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let (dim, inner) = (shape.hidden, shape.decoder_inner);
        let attention = |name: &str| {
            SourcedAttention::load(&weights.at(name), AttentionNames::PROJ, [dim, dim], shape.heads)
        };
        let norm = |name: &str| LayerNorm::load(&weights.at(name), dim, EPS);
        let up = Linear::load(&weights.at("fc1"), dim, inner)?;
        let down = Linear::load(&weights.at("fc2"), inner, dim)?;
        Ok(Self {
            to_map: attention("cross_attn")?,
            to_map_norm: norm("cross_attn_layer_norm")?,
            itself: attention("self_attn")?,
            itself_norm: norm("self_attn_layer_norm")?,
            mlp: Mlp::new(up, down, shape.activation),
            mlp_norm: norm("final_layer_norm")?,
        })
    }

    fn forward(&self, states: &Tensor, marks: &Tensor, level: &Level, bias: &Tensor) -> Result<Tensor> {
        let marked = (states + marks)?;
        let seen = self.to_map.forward_biased_onto(&marked, &level.keys, &level.values, bias, states)?;
        let states = self.to_map_norm.forward(&seen)?;
        let marked = (&states + marks)?;
        let states =
            self.itself_norm.forward(&self.itself.forward_onto(&marked, &marked, &states, &states)?)?;
        self.mlp_norm.forward(&self.mlp.forward_onto(&states, &states)?)
    }
}
