//! From pixels to the tokens of several maps.

use percept_backbone::swin::Swin;
use percept_backbone::{
    Conv2d, ConvShape, GroupNorm, Result, Tensor, ToContiguous, Weights, WeightsError, sine_positions,
};

use super::config::{GROUPS, Shape};

/// Of the norms of groups, as `torch.nn.GroupNorm` has it.
const EPS: f64 = 1e-5;

/// Swin and what brings its maps to one number of channels (`GroundingDinoConvModel`, `input_proj_vision`).
#[derive(Debug)]
pub(super) struct ImageEncoder {
    backbone: Swin,
    /// By level: the last is made of the last map of the backbone once more, at half its size.
    projections: Vec<(Conv2d, GroupNorm)>,
    /// `[levels, dim]`.
    levels: Tensor,
    dim: usize,
    temperature: f32,
}

/// The pixels of all maps, from fine to coarse.
#[derive(Debug)]
pub(super) struct Features {
    /// `[batch, pixels, dim]`.
    pub(super) pixels: Tensor,
    /// What tells where a pixel lies, `[1, pixels, dim]`.
    pub(super) places: Tensor,
    /// Rows and columns of each map.
    pub(super) sizes: Vec<[usize; 2]>,
}

impl ImageEncoder {
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let dim = shape.dim;
        let stages = &shape.backbone.stages;
        let channels: Vec<usize> = stages.iter().map(|stage| shape.backbone.channels(*stage)).collect();
        let projection = |level: usize| {
            let weights = weights.at(format!("input_proj_vision.{level}"));
            let convolution = match channels.get(level) {
                Some(channels) => ConvShape::square(dim, *channels, 1),
                None => ConvShape::square(dim, channels[channels.len() - 1], 3).stride(2).padding(1),
            };
            let norm = GroupNorm::load(&weights.at("1"), GROUPS, dim, EPS)?;
            Ok((Conv2d::load(&weights.at("0"), convolution)?, norm))
        };
        let count = channels.len() + 1;
        Ok(Self {
            backbone: Swin::load(&weights.at("backbone.conv_encoder.model"), &shape.backbone)?,
            projections: (0..count).map(projection).collect::<Result<_, WeightsError>>()?,
            levels: weights.get("level_embed", &[count, dim])?,
            dim,
            temperature: shape.temperature,
        })
    }

    /// Of images `[batch, 3, height, width]`.
    pub(super) fn forward(&self, pixel_values: &Tensor) -> Result<Features> {
        let maps = self.backbone.feature_maps(pixel_values)?;
        let last = maps.last().cloned();
        let (mut pixels, mut places, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        for (level, map) in maps.into_iter().chain(last).enumerate() {
            let (convolution, norm) = &self.projections[level];
            let map = norm.forward(&convolution.forward(&map)?)?;
            let (_, _, rows, columns) = map.dims4()?;
            pixels.push(map.flatten_from(2)?.transpose(1, 2)?.to_contiguous()?);
            let place = sine_positions([rows, columns], self.dim, self.temperature, map.device())?;
            places.push(place.broadcast_add(&self.levels.get(level)?)?);
            sizes.push([rows, columns]);
        }
        Ok(Features { pixels: Tensor::cat(&pixels, 1)?, places: Tensor::cat(&places, 1)?, sizes })
    }
}
