//! From the states of patches to heat maps: the decoders of ViTPose.

use percept_backbone::{
    Activation, BatchNorm, Conv2d, ConvShape, ConvTransposeShape, Filter, Result, Tensor, Weights,
    WeightsError, resize_by,
};
use percept_core::pose::KeypointScheme;

/// A decoder. Both make a map of a quarter of the picture's size where a patch has 16 pixels.
#[derive(Debug)]
pub(super) struct Head {
    growth: Growth,
    heatmaps: Conv2d,
}

/// How maps grow before the last convolution.
#[derive(Debug)]
enum Growth {
    /// The simple decoder: ReLU, and bilinear by a factor.
    Bilinear(f64),
    /// The classic decoder: transposed convolutions, each with batch normalisation and ReLU.
    Learned(Vec<Conv2d>),
}

impl Head {
    /// Loads a decoder that gives `keypoints` maps from states of `dim` channels; with a `factor` it is the simple one.
    pub(super) fn load(
        weights: &Weights,
        factor: Option<usize>,
        dim: usize,
        keypoints: usize,
    ) -> Result<Self, WeightsError> {
        let last = weights.at("conv");
        if let Some(factor) = factor {
            let shape = ConvShape { padding: [1; 2], ..ConvShape::square(keypoints, dim, 3) };
            let growth = Growth::Bilinear(factor as f64);
            return Ok(Self { growth, heatmaps: Conv2d::load(&last, shape)? });
        }
        // 256 in all published checkpoints.
        let filters = |name: &str| weights.shape(name).and_then(|shape| shape.get(1)).copied().unwrap_or(256);
        let channels = [dim, filters("deconv1.weight"), filters("deconv2.weight")];
        let grow = |index: usize| {
            let [ins, outs] = [channels[index], channels[index + 1]];
            let shape = ConvTransposeShape {
                stride: [2; 2],
                padding: [1; 2],
                ..ConvTransposeShape::square(outs, ins, 4)
            };
            let norm = BatchNorm::load(&weights.at(format!("batchnorm{}", index + 1)), outs, 1e-5)?;
            Conv2d::load_transposed_folded(&weights.at(format!("deconv{}", index + 1)), shape, &norm)
        };
        let shape = ConvShape::square(keypoints, channels[2], 1);
        let growth = Growth::Learned(vec![grow(0)?, grow(1)?]);
        Ok(Self { growth, heatmaps: Conv2d::load(&last, shape)? })
    }

    /// `[batch, dim, rows, columns]` to `[batch, keypoints, rows, columns]` of the larger map.
    pub(super) fn forward(&self, states: &Tensor) -> Result<Tensor> {
        let grown = match &self.growth {
            Growth::Bilinear(factor) => {
                resize_by(&Activation::Relu.forward(states)?, [*factor; 2], Filter::Bilinear)?
            }
            Growth::Learned(layers) => layers.iter().try_fold(states.clone(), |states, layer| {
                layer.forward_activated(&states, Activation::Relu)
            })?,
        };
        self.heatmaps.forward(&grown)
    }
}

/// The heat maps of a mirrored crop as those of the crop: mirrored back, and keypoints of pairs exchanged. From and to
/// `[batch, keypoints, rows, columns]`.
pub(super) fn flipped_back(heatmaps: &Tensor, scheme: &KeypointScheme) -> Result<Tensor> {
    let mut order: Vec<u32> = (0..heatmaps.dim(1)? as u32).collect();
    for [left, right] in &scheme.flip_pairs {
        order.swap(*left, *right);
    }
    let order = Tensor::new(order, heatmaps.device())?;
    mirrored(&heatmaps.index_select(&order, 1)?)
}

/// `[.., columns]` with the last column first.
pub(super) fn mirrored(x: &Tensor) -> Result<Tensor> {
    let columns = x.dim(3)? as u32;
    x.index_select(&Tensor::new((0..columns).rev().collect::<Vec<_>>(), x.device())?, 3)
}
