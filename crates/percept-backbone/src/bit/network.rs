//! The network itself.

use candle_core::Tensor;
use percept_kernels::{ConvShape, LastWindow, Pool, Pooling};

use super::config::{BitConfig, Border, multiple_of_8};
use crate::Result;
use crate::activation::Activation;
use crate::conv2d::Conv2d;
use crate::norm::GroupNorm;
use crate::pool::pool;
use crate::stages::stage_maps;
use crate::weights::{Weights, WeightsError};

/// Of the norms.
const EPS: f64 = 1e-5;

/// After the stem: from two pixels to one.
const STEM_POOL: Pool = Pool {
    pooling: Pooling::Maximum,
    kernel: [3; 2],
    stride: [2; 2],
    padding: [0; 2],
    last: LastWindow::Whole,
};

/// A BiT, from pixels to maps of features.
#[derive(Debug)]
pub struct Bit {
    stem: Convolution,
    stem_norm: GroupNorm,
    /// Zeros on each side between the stem and its norm.
    stem_border: usize,
    pools_border: bool,
    activation: Activation,
    stages: Vec<Vec<Layer>>,
    out: Vec<usize>,
}

/// A convolution whose weights are standardised, behind its border.
#[derive(Debug)]
struct Convolution {
    convolution: Conv2d,
    /// Kernel and stride, where the border depends on the size of the input.
    same: Option<[usize; 2]>,
}

/// A bottleneck: three convolutions, each with a norm, around which the input goes.
#[derive(Debug)]
struct Layer {
    convolutions: [(Convolution, GroupNorm); 3],
    shortcut: Option<(Convolution, GroupNorm)>,
    activation: Activation,
}

impl Bit {
    /// Loads a `BitBackbone`; `weights` stand at `bit`.
    pub fn load(weights: &Weights, config: &BitConfig) -> Result<Self, WeightsError> {
        let embedder = weights.at("embedder");
        let stem = Shape { to: config.stem, from: 3, kernel: 7, stride: 2 };
        let stage = |stage: usize| {
            let to = config.channels[stage];
            let before = if stage == 0 { config.stem } else { config.channels[stage - 1] };
            let layer = |layer: usize| {
                let weights = weights.at(format!("encoder.stages.{stage}.layers.{layer}"));
                let first = layer == 0;
                let stride = if first && stage > 0 { 2 } else { 1 };
                Layer::load(&weights, config, [if first { before } else { to }, to], (stride, first))
            };
            (0..config.depths[stage]).map(layer).collect::<Result<Vec<_>, WeightsError>>()
        };
        let last = config.stages.last().copied().unwrap_or(0);
        Ok(Self {
            stem: Convolution::load(&embedder.at("convolution"), stem, config.border)?,
            stem_norm: GroupNorm::load(&embedder.at("norm"), config.groups, config.stem, EPS)?,
            stem_border: if config.border == Border::Same { 0 } else { 1 },
            pools_border: config.pools_border,
            activation: config.activation,
            stages: (0..last).map(stage).collect::<Result<_, _>>()?,
            out: config.stages.clone(),
        })
    }

    /// The maps that the configuration names, each `[batch, channels, rows, columns]`, of images
    /// `[batch, 3, height, width]` of any size.
    pub fn feature_maps(&self, pixel_values: &Tensor) -> Result<Vec<Tensor>> {
        let mut map = self.stem.forward(pixel_values)?;
        if self.stem_border > 0 {
            let zeros = self.stem_border;
            map = map.pad_with_zeros(2, zeros, zeros)?.pad_with_zeros(3, zeros, zeros)?;
        }
        map = self.stem_norm.forward_activated(&map, self.activation)?;
        if self.pools_border {
            map = bordered(&map, STEM_POOL.kernel[0], STEM_POOL.stride[0])?;
        }
        map = pool(&map, &STEM_POOL)?;
        stage_maps(map, &self.stages, &self.out, |layers, map| {
            layers.iter().try_fold(map.clone(), |map, layer| layer.forward(&map))
        })
    }
}

impl Layer {
    fn load(
        weights: &Weights,
        config: &BitConfig,
        [from, to]: [usize; 2],
        (stride, first): (usize, bool),
    ) -> Result<Self, WeightsError> {
        let middle = multiple_of_8(to / 4);
        let part = |convolution: &str, norm: &str, shape: Shape| -> Result<_, WeightsError> {
            let convolution = Convolution::load(&weights.at(convolution), shape, config.border)?;
            Ok((convolution, GroupNorm::load(&weights.at(norm), config.groups, shape.to, EPS)?))
        };
        let narrow = Shape { to: middle, from, kernel: 1, stride: 1 };
        let mix = Shape { to: middle, from: middle, kernel: 3, stride };
        let widen = Shape { to, from: middle, kernel: 1, stride: 1 };
        let shortcut = Shape { to, from, kernel: 1, stride };
        Ok(Self {
            convolutions: [
                part("conv1", "norm1", narrow)?,
                part("conv2", "norm2", mix)?,
                part("conv3", "norm3", widen)?,
            ],
            shortcut: match first {
                true => Some(part("downsample.conv", "downsample.norm", shortcut)?),
                false => None,
            },
            activation: config.activation,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let shortcut = match &self.shortcut {
            Some((convolution, norm)) => norm.forward(&convolution.forward(x)?)?,
            None => x.clone(),
        };
        let [narrow, mix, widen] = &self.convolutions;
        let x = narrow.1.forward_activated(&narrow.0.forward(x)?, self.activation)?;
        let x = mix.1.forward_activated(&mix.0.forward(&x)?, self.activation)?;
        let x = widen.1.forward(&widen.0.forward(&x)?)?;
        self.activation.forward(&(x + shortcut)?)
    }
}

#[derive(Clone, Copy)]
struct Shape {
    to: usize,
    from: usize,
    kernel: usize,
    stride: usize,
}

impl Convolution {
    /// Loads `WeightStandardizedConv2d`.
    fn load(weights: &Weights, shape: Shape, border: Border) -> Result<Self, WeightsError> {
        let Shape { to, from, kernel, stride } = shape;
        let weight = weights.get("weight", &[to, from, kernel, kernel])?;
        let bias = if weights.has("bias") { Some(weights.get("bias", &[to])?) } else { None };
        // A border that depends on the size is laid around the input; any other is the convolution's own.
        let dynamic = border == Border::Same && (stride > 1 || kernel % 2 == 0);
        let padding = match border {
            _ if dynamic => 0,
            Border::Valid => 0,
            Border::Symmetric | Border::Same => (stride - 1 + kernel - 1) / 2,
        };
        let shape = ConvShape::square(to, from, kernel).stride(stride).padding(padding);
        let convolution = standardised(&weight)
            .and_then(|weight| Conv2d::from_weight(&weight, bias.as_ref(), shape, weights.precision()))
            .map_err(WeightsError::Engine)?;
        Ok(Self { convolution, same: dynamic.then_some([kernel, stride]) })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self.same {
            Some([kernel, stride]) => self.convolution.forward(&bordered(x, kernel, stride)?),
            None => self.convolution.forward(x),
        }
    }
}

/// A weight `[out, ..]` with a mean of 0 and a deviation of 1 for each output channel (Qiao et al. 2019, arXiv
/// 1903.10520).
fn standardised(weight: &Tensor) -> Result<Tensor> {
    const EPS: f64 = 1e-8;
    let mut values = weight.flatten_all()?.to_vec1::<f32>()?;
    let row = values.len() / weight.dim(0)?.max(1);
    for row in values.chunks_exact_mut(row.max(1)) {
        let count = row.len() as f64;
        let mean = row.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
        let variance = row.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count;
        let scale = 1.0 / (variance + EPS).sqrt();
        row.iter_mut().for_each(|value| *value = ((f64::from(*value) - mean) * scale) as f32);
    }
    Tensor::from_vec(values, weight.shape(), weight.device())
}

/// A map with zeros around it, so that windows of `kernel` pixels, `stride` apart, give the size over the stride, rounded
/// up.
fn bordered(map: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let mut map = map.clone();
    for axis in [2, 3] {
        let size = map.dim(axis)?;
        let zeros = ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
        if zeros > 0 {
            map = map.pad_with_zeros(axis, zeros / 2, zeros - zeros / 2)?;
        }
    }
    Ok(map)
}
