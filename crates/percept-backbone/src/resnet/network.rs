//! The network itself.

use candle_core::Tensor;
use percept_kernels::{ConvShape, LastWindow, Pool, Pooling};

use super::config::{Layers, ResnetConfig};
use super::names::renamed;
use crate::Result;
use crate::activation::Activation;
use crate::batch_norm::BatchNorm;
use crate::conv2d::Conv2d;
use crate::pool::pool;
use crate::stages::stage_maps;
use crate::weights::{Weights, WeightsError};

/// Of all norms; frozen ones of detectors have it too.
const EPS: f64 = 1e-5;

/// After the stem: from two pixels to one.
const STEM_POOL: Pool = Pool {
    pooling: Pooling::Maximum,
    kernel: [3; 2],
    stride: [2; 2],
    padding: [1; 2],
    last: LastWindow::Whole,
};

/// In the shortcuts of ResNet-D, whose last window may be cut: only what lies in the map counts.
const AVERAGE: Pool = Pool {
    pooling: Pooling::AverageInside,
    kernel: [2; 2],
    stride: [2; 2],
    padding: [0; 2],
    last: LastWindow::Cut,
};

/// A residual network, from pixels to maps of features.
#[derive(Debug)]
pub struct Resnet {
    /// One convolution, or three.
    stem: Vec<Conv2d>,
    activation: Activation,
    stages: Vec<Vec<Layer>>,
    out: Vec<usize>,
}

#[derive(Debug)]
struct Layer {
    /// ReLU between them.
    convolutions: Vec<Conv2d>,
    /// None where the input is added as it is.
    shortcut: Option<Shortcut>,
    /// Of the sum.
    activation: Activation,
}

#[derive(Debug)]
struct Shortcut {
    averages: bool,
    convolution: Conv2d,
}

/// Where a layer stands in its network.
#[derive(Clone, Copy)]
struct Place {
    from: usize,
    to: usize,
    stride: usize,
    dilation: usize,
    first: bool,
}

impl Resnet {
    /// Loads a `ResNetBackbone`, an `RTDetrResNetBackbone`, or a network of timm.
    pub fn load(weights: &Weights, config: &ResnetConfig) -> Result<Self, WeightsError> {
        let weights = &renamed(weights);
        let last = config.stages.last().copied().unwrap_or(0);
        let stages = weights.at("encoder.stages");
        let stage = |stage: usize| {
            let before = if stage == 0 { config.stem } else { config.channels[stage - 1] };
            let dilation_before = if stage == 0 { 1 } else { config.dilations[stage - 1] };
            let layer = |layer: usize| {
                let first = layer == 0;
                let to = config.channels[stage];
                let place = match first {
                    true => {
                        let (stride, dilation) = (config.strides[stage], dilation_before);
                        Place { from: before, to, stride, dilation, first }
                    }
                    false => Place { from: to, to, stride: 1, dilation: config.dilations[stage], first },
                };
                Layer::load(&stages.at(format!("{stage}.layers.{layer}")), config, place)
            };
            (0..config.depths[stage]).map(layer).collect::<Result<Vec<_>, WeightsError>>()
        };
        Ok(Self {
            stem: stem(&weights.at("embedder.embedder"), config)?,
            activation: config.activation,
            stages: (0..last).map(stage).collect::<Result<_, _>>()?,
            out: config.stages.clone(),
        })
    }

    /// The maps that the configuration names, each `[batch, channels, rows, columns]`, of images
    /// `[batch, 3, height, width]` of any size.
    pub fn feature_maps(&self, pixel_values: &Tensor) -> Result<Vec<Tensor>> {
        let mut map = pixel_values.clone();
        for convolution in &self.stem {
            map = convolution.forward_activated(&map, self.activation)?;
        }
        map = pool(&map, &STEM_POOL)?;
        stage_maps(map, &self.stages, &self.out, |layers, map| {
            layers.iter().try_fold(map.clone(), |map, layer| layer.forward(&map))
        })
    }
}

fn stem(weights: &Weights, config: &ResnetConfig) -> Result<Vec<Conv2d>, WeightsError> {
    if !config.deep {
        let shape = ConvShape::square(config.stem, 3, 7).stride(2).padding(3);
        return Ok(vec![normed(weights, shape)?]);
    }
    let half = config.stem / 2;
    let three = |out, input| ConvShape::square(out, input, 3).padding(1);
    let shapes = [three(half, 3).stride(2), three(half, half), three(config.stem, half)];
    let part = |(index, shape): (usize, ConvShape)| normed(&weights.at(index.to_string()), shape);
    shapes.into_iter().enumerate().map(part).collect()
}

/// A convolution with its norm.
fn normed(weights: &Weights, shape: ConvShape) -> Result<Conv2d, WeightsError> {
    let norm = BatchNorm::load(&weights.at("normalization"), shape.out_channels, EPS)?;
    Conv2d::load_folded(&weights.at("convolution"), shape, &norm)
}

impl Layer {
    fn load(weights: &Weights, config: &ResnetConfig, place: Place) -> Result<Self, WeightsError> {
        let Place { from, to, stride, dilation, .. } = place;
        let one = ConvShape::square;
        let three = |out, input| {
            let shape = ConvShape::square(out, input, 3).padding(dilation);
            ConvShape { dilation: [dilation; 2], ..shape }
        };
        let shapes = match config.layers {
            Layers::Basic => vec![three(to, from).stride(stride), three(to, to)],
            Layers::Bottleneck => {
                let inner = to / 4;
                let (early, late) = if config.halve_early { (stride, 1) } else { (1, stride) };
                vec![one(inner, from, 1).stride(early), three(inner, inner).stride(late), one(to, inner, 1)]
            }
        };
        let part = |(index, shape)| normed(&weights.at(format!("layer.{index}")), shape);
        Ok(Self {
            convolutions: shapes.into_iter().enumerate().map(part).collect::<Result<_, _>>()?,
            shortcut: Shortcut::load(weights, config, place)?,
            activation: config.activation,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let shortcut = self.shortcut.as_ref().map_or(Ok(x.clone()), |shortcut| shortcut.forward(x))?;
        let mut inner = x.clone();
        let Some((last, before)) = self.convolutions.split_last() else { return Ok(inner) };
        for convolution in before {
            inner = convolution.forward_activated(&inner, Activation::Relu)?;
        }
        last.forward_joined(&inner, &shortcut, self.activation)
    }
}

impl Shortcut {
    fn load(weights: &Weights, config: &ResnetConfig, place: Place) -> Result<Option<Self>, WeightsError> {
        let Place { from, to, stride, first, .. } = place;
        let averages = config.deep
            && match config.layers {
                Layers::Basic => from != to,
                Layers::Bottleneck => stride == 2,
            };
        let wanted = match (config.deep, config.layers) {
            // It is there even where it changes nothing.
            (true, Layers::Basic) => first,
            _ => from != to || stride != 1,
        };
        if !wanted {
            return Ok(None);
        }
        let shape = ConvShape::square(to, from, 1).stride(if averages { 1 } else { stride });
        // Behind the average, which has no weights.
        let name = if averages { "shortcut.1" } else { "shortcut" };
        Ok(Some(Self { averages, convolution: normed(&weights.at(name), shape)? }))
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self.averages {
            true => self.convolution.forward(&pool(x, &AVERAGE)?),
            false => self.convolution.forward(x),
        }
    }
}
