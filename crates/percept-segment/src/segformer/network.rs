//! The network: a Mix Transformer and the head that joins its four maps.

use percept_backbone::mit::{Mit, MitConfig};
use percept_backbone::{
    Activation, Alignment, BatchNorm, Conv2d, ConvShape, Filter, Result, Tensor, Weights, WeightsError,
    resize,
};
use serde_json::Value;

/// From pixels to class scores.
pub(super) struct Network {
    encoder: Mit,
    head: Head,
}

impl Network {
    pub(super) fn load(weights: &Weights, config: &Value) -> Result<Self, WeightsError> {
        let shape = MitConfig::of(config)?;
        let channels = shape.stages.iter().map(|stage| stage.dim).collect::<Vec<_>>();
        Ok(Self {
            encoder: Mit::load(&weights.at("segformer"), &shape)?,
            head: Head::load(&weights.at("decode_head"), &channels)?,
        })
    }

    pub(super) fn classes(&self) -> usize {
        self.head.classes
    }

    /// The encoder's maps, `[batch, channels, height, width]`, the largest first (`hidden_states`).
    pub(super) fn maps(&self, pixel_values: &Tensor) -> Result<Vec<Tensor>> {
        self.encoder.maps(pixel_values)
    }

    /// `[batch, 3, height, width]` to `[batch, classes, height / 4, width / 4]`, rounded up.
    pub(super) fn logits(&self, pixel_values: &Tensor) -> Result<Tensor> {
        self.head.forward(&self.maps(pixel_values)?)
    }
}

/// The decode head.
///
/// The reference brings each map to one number of channels, resizes it to the largest, and mixes all of them with one
/// matrix. Both matrices act on single pixels, and resizing on single channels by weights whose sum is 1; so they may
/// change places. Here they are one matrix for each map, applied before resizing: of the reference's largest product
/// (of all maps in the size of the largest) that leaves a small part.
struct Head {
    maps: Vec<Conv2d>,
    norm: BatchNorm,
    classifier: Conv2d,
    classes: usize,
}

impl Head {
    fn load(weights: &Weights, channels: &[usize]) -> Result<Self, WeightsError> {
        // The names of transformers 4, which published checkpoints have, and those of version 5.
        let projections = ["linear_c", "linear_projections"].map(|name| weights.at(name));
        let projections = projections.into_iter().find(|list| list.has("0.proj.weight"));
        let projections = projections.unwrap_or_else(|| weights.at("linear_projections"));
        let dim = weights.shape("linear_fuse.weight").map_or(0, |shape| shape[0]);
        let classes = weights.shape("classifier.weight").map_or(0, |shape| shape[0]);
        let count = channels.len();
        let fuse = weights.get("linear_fuse.weight", &[dim, dim * count, 1, 1])?;
        let joined = |index: usize, input: usize| -> Result<(Tensor, Tensor), WeightsError> {
            let projection = projections.at(format!("{index}.proj"));
            let (weight, bias) = (projection.get("weight", &[dim, input])?, projection.get("bias", &[dim])?);
            let join = || {
                // The reference joins the maps from the smallest to the largest.
                let fuse = fuse
                    .reshape((dim, dim * count))?
                    .narrow(1, (count - 1 - index) * dim, dim)?
                    .contiguous()?;
                let weight = fuse.matmul(&weight)?.reshape((dim, input, 1, 1))?;
                Ok((weight, fuse.matmul(&bias.reshape((dim, 1))?)?.flatten_all()?))
            };
            join().map_err(WeightsError::Engine)
        };
        let convolution = |(index, input): (usize, &usize)| {
            let (weight, bias) = joined(index, *input)?;
            let shape = ConvShape::square(dim, *input, 1);
            Conv2d::from_weight(&weight, Some(&bias), shape, weights.precision())
                .map_err(WeightsError::Engine)
        };
        Ok(Self {
            maps: channels.iter().enumerate().map(convolution).collect::<Result<_, _>>()?,
            norm: BatchNorm::load(&weights.at("batch_norm"), dim, 1e-5)?,
            classifier: Conv2d::load(&weights.at("classifier"), ConvShape::square(classes, dim, 1))?,
            classes,
        })
    }

    fn forward(&self, maps: &[Tensor]) -> Result<Tensor> {
        let mut layers = self.maps.iter().zip(maps);
        let Some((largest, map)) = layers.next() else {
            return Err(percept_backbone::EngineError::Msg("no map to join".into()));
        };
        let (_, _, height, width) = map.dims4()?;
        let mut sum: Option<Tensor> = None;
        for (layer, smaller) in layers {
            let part = resize(&layer.forward(smaller)?, [height, width], Filter::Bilinear, Alignment::Edges)?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
        let joined = match &sum {
            Some(sum) => largest.forward_onto(map, None, sum)?,
            None => largest.forward(map)?,
        };
        self.classifier.forward(&self.norm.forward_activated(&joined, Activation::Relu)?)
    }
}
