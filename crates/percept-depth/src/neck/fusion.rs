//! Maps of several sizes to one (`DPTFeatureFusionLayer`).

use percept_backbone::{
    Activation, Alignment, BatchNorm, Conv2d, ConvShape, Filter, Result, Tensor, Weights, WeightsError,
    resize,
};

/// Two convolutions, each behind a rectifier, and what they were given (`DPTPreActResidualLayer`; the residual unit of
/// RefineNet, Lin et al. 2017, arXiv 1611.06612).
pub(crate) struct ResidualUnit {
    convolutions: [Conv2d; 2],
}

impl ResidualUnit {
    /// Loads a unit of `width` channels; `batch_norm` is the eps of its norms, where it has some.
    pub(crate) fn load(
        weights: &Weights,
        width: usize,
        batch_norm: Option<f64>,
    ) -> Result<Self, WeightsError> {
        let shape = ConvShape::square(width, width, 3).padding(1);
        let load = |index: usize| {
            let convolution = weights.at(format!("convolution{index}"));
            match batch_norm {
                None => Conv2d::load(&convolution, shape),
                Some(eps) => {
                    let norm = BatchNorm::load(&weights.at(format!("batch_norm{index}")), width, eps)?;
                    Conv2d::load_folded(&convolution, shape, &norm)
                }
            }
        };
        Ok(Self { convolutions: [load(1)?, load(2)?] })
    }

    /// `[batch, width, height, columns]` to the same.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_onto(x, x)
    }

    /// The same plus `other`.
    pub(crate) fn forward_with(&self, x: &Tensor, other: &Tensor) -> Result<Tensor> {
        self.forward_onto(x, &(x + other)?)
    }

    fn forward_onto(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        let [first, second] = &self.convolutions;
        let hidden = first.forward_activated(&Activation::Relu.forward(x)?, Activation::Relu)?;
        second.forward_onto(&hidden, None, residual)
    }
}

/// One fusion: a map, perhaps another that joins it, and the size of the sum.
pub(super) struct Fusion {
    /// Of the map that joins; the first fusion has none, and its weights are of no use.
    joining: Option<ResidualUnit>,
    joined: ResidualUnit,
    projection: Conv2d,
}

impl Fusion {
    pub(super) fn load(
        weights: &Weights,
        width: usize,
        batch_norm: Option<f64>,
        joins: bool,
    ) -> Result<Self, WeightsError> {
        let unit = |name: &str| ResidualUnit::load(&weights.at(name), width, batch_norm);
        Ok(Self {
            joining: if joins { Some(unit("residual_layer1")?) } else { None },
            joined: unit("residual_layer2")?,
            projection: Conv2d::load(&weights.at("projection"), ConvShape::square(width, width, 1))?,
        })
    }

    /// A map `[batch, width, height, columns]`, and the next one that joins it, to a map of `size`; twice the size where
    /// none is given.
    ///
    /// The reference projects the resized map. Projecting acts on single pixels, resizing on single channels by weights
    /// whose sum is 1, so they may change places, and a quarter of the pixels is projected.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        next: Option<&Tensor>,
        size: Option<[usize; 2]>,
    ) -> Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        let x = match (&self.joining, next) {
            (Some(unit), Some(next)) if next.dims() == x.dims() => unit.forward_with(next, x)?,
            (Some(unit), Some(next)) => {
                let next = resize(next, [height, width], Filter::Bilinear, Alignment::Edges)?;
                unit.forward_with(&next, x)?
            }
            _ => x.clone(),
        };
        let projected = self.projection.forward(&self.joined.forward(&x)?)?;
        let size = size.unwrap_or([2 * height, 2 * width]);
        resize(&projected, size, Filter::Bilinear, Alignment::Corners)
    }
}
