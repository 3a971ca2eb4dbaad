//! From the maps of the backbone to maps that know of each other: an encoder of deformable attention over the three
//! coarse ones (`Mask2FormerPixelDecoder`), behind which the fine ones are merged in.

use percept_backbone::sine_positions;
use percept_backbone::{
    Activation, Alignment, Conv2d, ConvShape, Filter, GroupNorm, LayerNorm, Linear, Mlp, MultiScaleAttention,
    Result, Tensor, ToContiguous, Weights, WeightsError, resize,
};

use super::config::{EPS, GROUPS, LEVELS, POINTS, Shape};

#[derive(Debug)]
pub(super) struct PixelDecoder {
    /// From coarse to fine, as all that follows.
    projections: Vec<Normed>,
    /// `[levels, features]`.
    levels: Tensor,
    layers: Vec<Layer>,
    merging: Vec<Merging>,
    masks: Conv2d,
}

/// What comes out.
pub(super) struct Features {
    /// `[batch, mask features, rows, columns]`.
    pub(super) masks: Tensor,
    /// From coarse to fine, `[batch, features, rows, columns]`.
    pub(super) levels: Vec<Tensor>,
}

/// A convolution with its norm.
#[derive(Debug)]
struct Normed {
    conv: Conv2d,
    norm: GroupNorm,
}

/// A fine map of the backbone, added to what is coarser.
#[derive(Debug)]
struct Merging {
    lateral: Normed,
    output: Normed,
}

#[derive(Debug)]
struct Layer {
    attention: MultiScaleAttention,
    attention_norm: LayerNorm,
    mlp: Mlp,
    mlp_norm: LayerNorm,
}

/// The pixels of all levels, one behind the other, and where they lie.
pub(super) struct Places {
    /// What is added to the pixels' states for their places: `[1, pixels, features]`.
    positions: Tensor,
    /// Their centres, x and y, 0 to 1: `[1, pixels, 2]`.
    centres: Tensor,
    /// Rows and columns of each level.
    sizes: Vec<[usize; 2]>,
}

impl PixelDecoder {
    /// For maps of `channels`, from fine to coarse.
    pub(super) fn load(weights: &Weights, shape: &Shape, channels: &[usize]) -> Result<Self, WeightsError> {
        let features = shape.features;
        if channels.len() < LEVELS || channels.len() < shape.merged {
            let message = format!("config.json: {} maps of the backbone are too few", channels.len());
            return Err(WeightsError::Format(message));
        }
        let normed = |name: String, shape: ConvShape| Normed::load(&weights.at(name), shape);
        let projections = channels.iter().rev().take(LEVELS).enumerate().map(|(level, channels)| {
            normed(format!("input_projections.{level}"), ConvShape::square(features, *channels, 1))
        });
        let merging = channels[..shape.merged].iter().enumerate().rev().map(|(index, channels)| {
            let three = ConvShape { padding: [1; 2], ..ConvShape::square(features, features, 3) };
            Ok(Merging {
                lateral: normed(format!("adapter_{}", index + 1), ConvShape::square(features, *channels, 1))?,
                output: normed(format!("layer_{}", index + 1), three)?,
            })
        });
        let layers = weights.at("encoder.layers");
        Ok(Self {
            projections: projections.collect::<Result<_, _>>()?,
            levels: weights.get("level_embed", &[LEVELS, features])?,
            layers: (0..shape.encoder_layers)
                .map(|layer| Layer::load(&layers.at(layer.to_string()), shape))
                .collect::<Result<_, _>>()?,
            merging: merging.collect::<Result<_, WeightsError>>()?,
            masks: Conv2d::load(
                &weights.at("mask_projection"),
                ConvShape::square(shape.mask_features, features, 1),
            )?,
        })
    }

    /// Of the backbone's maps, from fine to coarse.
    pub(super) fn forward(&self, maps: &[Tensor]) -> Result<Features> {
        let (mut states, places) = self.embed(maps)?;
        // The state between two layers is a value: a caller may stop here, or go on with fewer pixels.
        for layer in &self.layers {
            states = layer.forward(&states, &places)?;
        }
        let mut levels = Vec::new();
        let mut first = 0;
        for [rows, columns] in &places.sizes {
            let level = states.narrow(1, first, rows * columns)?.transpose(1, 2)?.to_contiguous()?;
            let (batch, features, _) = level.dims3()?;
            levels.push(level.reshape((batch, features, *rows, *columns))?);
            first += rows * columns;
        }
        let mut finest = levels[LEVELS - 1].clone();
        for (merging, map) in self.merging.iter().zip(maps[..self.merging.len()].iter().rev()) {
            finest = merging.forward(&finest, map)?;
        }
        Ok(Features { masks: self.masks.forward(&finest)?, levels })
    }

    /// What goes into the first layer: `[batch, pixels of the levels, features]`.
    fn embed(&self, maps: &[Tensor]) -> Result<(Tensor, Places)> {
        let (mut states, mut positions, mut centres, mut sizes) = (vec![], vec![], vec![], vec![]);
        for ((level, projection), map) in self.projections.iter().enumerate().zip(maps.iter().rev()) {
            let (_, features, rows, columns) = {
                let projected = projection.forward(map)?;
                states.push(projected.flatten_from(2)?.transpose(1, 2)?.to_contiguous()?);
                projected.dims4()?
            };
            positions.push(
                sine_positions([rows, columns], features, 10_000.0, map.device())?
                    .broadcast_add(&self.levels.get(level)?)?,
            );
            let centre = |at: usize, length: usize| (at as f32 + 0.5) / length as f32;
            let pixels = (0..rows * columns)
                .flat_map(|pixel| [centre(pixel % columns, columns), centre(pixel / columns, rows)]);
            centres.extend(pixels);
            sizes.push([rows, columns]);
        }
        let pixels = centres.len() / 2;
        let places = Places {
            positions: Tensor::cat(&positions, 1)?,
            centres: Tensor::from_vec(centres, (1, pixels, 2), self.levels.device())?,
            sizes,
        };
        Ok((Tensor::cat(&states, 1)?, places))
    }
}

impl Normed {
    fn load(weights: &Weights, shape: ConvShape) -> Result<Self, WeightsError> {
        let channels = shape.out_channels;
        Ok(Self {
            conv: Conv2d::load(&weights.at("0"), shape)?,
            norm: GroupNorm::load(&weights.at("1"), GROUPS, channels, EPS)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.norm.forward(&self.conv.forward(x)?)
    }
}

impl Merging {
    fn forward(&self, coarse: &Tensor, map: &Tensor) -> Result<Tensor> {
        let lateral = self.lateral.forward(map)?;
        let (_, _, rows, columns) = lateral.dims4()?;
        let sum = (lateral + resize(coarse, [rows, columns], Filter::Bilinear, Alignment::Edges)?)?;
        self.output.norm.forward_activated(&self.output.conv.forward(&sum)?, Activation::Relu)
    }
}

impl Layer {
    fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let (dim, inner) = (shape.features, shape.encoder_inner);
        let norm = |name: &str| LayerNorm::load(&weights.at(name), dim, EPS);
        let up = Linear::load(&weights.at("fc1"), dim, inner)?;
        let down = Linear::load(&weights.at("fc2"), inner, dim)?;
        let attention = weights.at("self_attn");
        Ok(Self {
            attention: MultiScaleAttention::load(&attention, dim, shape.heads, [LEVELS, POINTS])?,
            attention_norm: norm("self_attn_layer_norm")?,
            // Whatever the configuration says of the queries' layers.
            mlp: Mlp::new(up, down, Activation::Relu),
            mlp_norm: norm("final_layer_norm")?,
        })
    }

    /// States `[batch, pixels, features]` to the same.
    fn forward(&self, states: &Tensor, places: &Places) -> Result<Tensor> {
        let queries = states.broadcast_add(&places.positions)?;
        let read = self.attention.forward_onto(&queries, &places.centres, states, &places.sizes, states)?;
        let states = self.attention_norm.forward(&read)?;
        self.mlp_norm.forward(&self.mlp.forward_onto(&states, &states)?)
    }
}
