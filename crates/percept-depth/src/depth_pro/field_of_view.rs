//! The model of the field of view (`DepthProFovModel`).

use percept_backbone::{
    Activation, Alignment, Conv2d, ConvShape, Filter, Linear, Result, Tensor, Weights, WeightsError, resize,
};

use super::config::Config;
use super::encoder::Square;
use super::patches::merge;

/// From a picture and its smallest map to degrees.
pub(super) struct FieldOfView {
    encoder: Square,
    narrow: Linear,
    /// Of the smallest map.
    halve: Conv2d,
    layers: Vec<Conv2d>,
    last: Conv2d,
    /// The side of the map that the head takes.
    side: usize,
}

impl FieldOfView {
    /// Loads `fov_model`, whose head has `count` layers before its last; the image encoder's map is `side` tokens high.
    pub(super) fn load(
        weights: &Weights,
        config: &Config,
        count: usize,
        side: usize,
    ) -> Result<Self, WeightsError> {
        let width = config.width;
        let encoder = weights.at("fov_encoder");
        let square = Square::load(&encoder.at("model"), &config.fov_encoder, config.patch)?;
        // The width over 2, over 4 and so on, each rounded up.
        let channels = |halvings: usize| width.div_ceil(1 << halvings.min(31));
        let head = weights.at("head.layers");
        let layer = |index: usize| {
            let shape = ConvShape::square(channels(index + 2), channels(index + 1), 3).stride(2).padding(1);
            // An activation stands between two of them.
            Conv2d::load(&head.at((2 * index).to_string()), shape)
        };
        // `int((side - 1) / 2^count + 1)`.
        let kernel = ((side - 1) >> count) + 1;
        Ok(Self {
            narrow: Linear::load(&encoder.at("neck"), square.dim, width / 2)?,
            encoder: square,
            halve: Conv2d::load(
                &weights.at("conv"),
                ConvShape::square(width / 2, width, 3).stride(2).padding(1),
            )?,
            layers: (0..count).map(layer).collect::<Result<_, _>>()?,
            last: Conv2d::load(
                &head.at((2 * count).to_string()),
                ConvShape::square(1, channels(count + 1), kernel),
            )?,
            side,
        })
    }

    /// Images `[batch, 3, height, width]`, their smallest map and the size of the image encoder's, to degrees `[batch]`.
    pub(super) fn forward(&self, images: &Tensor, smallest: &Tensor, base: [usize; 2]) -> Result<Tensor> {
        let batch = images.dim(0)?;
        let tokens = self.narrow.forward(&self.encoder.whole(images)?)?;
        let map = merge(&tokens, batch, 0, base)?;
        let map = (map + self.halve.forward_activated(smallest, Activation::Relu)?)?;
        let map = match map.dims()[2..] == [self.side; 2] {
            true => map,
            false => resize(&map, [self.side; 2], Filter::Bilinear, Alignment::Edges)?,
        };
        let map =
            self.layers.iter().try_fold(map, |map, layer| layer.forward_activated(&map, Activation::Relu))?;
        self.last.forward(&map)?.flatten_all()
    }
}
