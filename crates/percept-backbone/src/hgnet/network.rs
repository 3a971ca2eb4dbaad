//! The network itself.

use candle_core::Tensor;
use percept_kernels::{ConvShape, LastWindow, Pool, Pooling};

use super::config::{HgnetConfig, HgnetStage};
use crate::activation::Activation;
use crate::batch_norm::BatchNorm;
use crate::conv2d::Conv2d;
use crate::pool::pool;
use crate::stages::stage_maps;
use crate::weights::{Weights, WeightsError};
use crate::{Result, ToContiguous};

/// Of all norms; frozen ones of detectors have it too.
const EPS: f64 = 1e-5;

/// In the stem, over a map that zeros follow below and to the right.
const STEM_POOL: Pool = Pool {
    pooling: Pooling::Maximum,
    kernel: [2; 2],
    stride: [1; 2],
    padding: [0; 2],
    last: LastWindow::Cut,
};

/// An HGNetV2, from pixels to maps of features.
#[derive(Debug)]
pub struct Hgnet {
    stem: Stem,
    stages: Vec<Stage>,
    out: Vec<usize>,
}

#[derive(Debug)]
struct Stem {
    first: Layer,
    /// Two small convolutions, beside a maximum of the same map.
    beside: [Layer; 2],
    joined: Layer,
    last: Layer,
}

#[derive(Debug)]
struct Stage {
    smaller: Option<Layer>,
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    /// Each is one convolution, or two where it is light.
    layers: Vec<Vec<Layer>>,
    mixing: [Layer; 2],
    /// Whether its input is added.
    residual: bool,
}

/// A convolution with its norm, an activation where it has one, and a factor and a summand where those have one.
#[derive(Debug)]
struct Layer {
    convolution: Conv2d,
    activation: Option<Activation>,
}

impl Hgnet {
    /// Loads an `HGNetV2Backbone`.
    pub fn load(weights: &Weights, config: &HgnetConfig) -> Result<Self, WeightsError> {
        let last = config.out.last().copied().unwrap_or(0);
        let stage = |at: usize| {
            Stage::load(&weights.at(format!("encoder.stages.{at}")), config.stages[at], config.affine)
        };
        Ok(Self {
            stem: Stem::load(&weights.at("embedder"), config)?,
            stages: (0..last).map(stage).collect::<Result<_, _>>()?,
            out: config.out.clone(),
        })
    }

    /// The maps that the configuration names, each `[batch, channels, rows, columns]`, of images
    /// `[batch, 3, height, width]` of any size.
    pub fn feature_maps(&self, pixel_values: &Tensor) -> Result<Vec<Tensor>> {
        let map = self.stem.forward(pixel_values)?;
        stage_maps(map, &self.stages, &self.out, |stage, map| stage.forward(map))
    }
}

impl Stem {
    fn load(weights: &Weights, config: &HgnetConfig) -> Result<Self, WeightsError> {
        let [inside, behind] = config.stem;
        let layer = |name: &str, (out, input, kernel): (usize, usize, usize), stride: usize| {
            let shape = ConvShape::square(out, input, kernel).stride(stride);
            Layer::load(&weights.at(name), shape, Some(config.activation), config.affine)
        };
        let [first, two_a, two_b, three, four] = config.stem_strides;
        Ok(Self {
            first: layer("stem1", (inside, 3, 3), first)?,
            beside: [
                layer("stem2a", (inside / 2, inside, 2), two_a)?,
                layer("stem2b", (inside, inside / 2, 2), two_b)?,
            ],
            joined: layer("stem3", (inside, 2 * inside, 3), three)?,
            last: layer("stem4", (behind, inside, 1), four)?,
        })
    }

    fn forward(&self, pixel_values: &Tensor) -> Result<Tensor> {
        // One row and one column more.
        let framed = |x: Tensor| x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?.to_contiguous();
        let map = framed(self.first.forward(pixel_values)?)?;
        let beside = self.beside[1].forward(&framed(self.beside[0].forward(&map)?)?)?;
        let both = Tensor::cat(&[pool(&map, &STEM_POOL)?, beside], 1)?;
        self.last.forward(&self.joined.forward(&both)?)
    }
}

impl Stage {
    fn load(weights: &Weights, stage: HgnetStage, affine: bool) -> Result<Self, WeightsError> {
        let smaller = |stride: usize| {
            let shape = ConvShape::square(stage.from, stage.from, 3).stride(stride).groups(stage.from);
            Layer::load(&weights.at("downsample"), shape, None, false)
        };
        let block = |at: usize| Block::load(&weights.at(format!("blocks.{at}")), stage, at, affine);
        Ok(Self {
            smaller: stage.stride.map(smaller).transpose()?,
            blocks: (0..stage.blocks).map(block).collect::<Result<_, _>>()?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let start = self.smaller.as_ref().map_or(Ok(x.clone()), |smaller| smaller.forward(x))?;
        self.blocks.iter().try_fold(start, |x, block| block.forward(&x))
    }
}

impl Block {
    fn load(weights: &Weights, stage: HgnetStage, at: usize, affine: bool) -> Result<Self, WeightsError> {
        let HgnetStage { middle, to, kernel, .. } = stage;
        let from = if at == 0 { stage.from } else { to };
        let relu = Some(Activation::Relu);
        let square = ConvShape::square;
        let layer = |index: usize| {
            let weights = weights.at(format!("layers.{index}"));
            let input = if index == 0 { from } else { middle };
            if !stage.light {
                return Ok(vec![Layer::load(&weights, square(middle, input, kernel), relu, affine)?]);
            }
            let each = square(middle, middle, kernel).groups(middle);
            Ok(vec![
                Layer::load(&weights.at("conv1"), square(middle, input, 1), None, affine)?,
                Layer::load(&weights.at("conv2"), each, relu, affine)?,
            ])
        };
        let all = from + stage.layers * middle;
        let mixing =
            |index: &str, shape| Layer::load(&weights.at("aggregation").at(index), shape, relu, affine);
        Ok(Self {
            layers: (0..stage.layers).map(layer).collect::<Result<_, WeightsError>>()?,
            mixing: [mixing("0", square(to / 2, all, 1))?, mixing("1", square(to, to / 2, 1))?],
            residual: at > 0,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut all = vec![x.clone()];
        let mut map = x.clone();
        for layer in &self.layers {
            map = layer.iter().try_fold(map, |map, part| part.forward(&map))?;
            all.push(map.clone());
        }
        let [squeeze, spread] = &self.mixing;
        let squeezed = squeeze.forward(&Tensor::cat(&all, 1)?)?;
        match self.residual {
            true => spread.convolution.forward_onto(&squeezed, spread.activation, x),
            false => spread.forward(&squeezed),
        }
    }
}

impl Layer {
    /// The padding of `shape` follows from its kernel.
    fn load(
        weights: &Weights,
        shape: ConvShape,
        activation: Option<Activation>,
        affine: bool,
    ) -> Result<Self, WeightsError> {
        let shape = shape.padding((shape.kernel[0] - 1) / 2);
        let norm = BatchNorm::load(&weights.at("normalization"), shape.out_channels, EPS)?;
        let mut convolution = Conv2d::load_folded(&weights.at("convolution"), shape, &norm)?;
        if affine && activation.is_some() {
            let number = |name: &str| {
                let tensor = weights.at("lab").get(name, &[1])?;
                tensor.get(0).and_then(|number| number.to_scalar::<f32>()).map_err(WeightsError::Engine)
            };
            convolution = convolution.followed_by(number("scale")?, number("bias")?);
        }
        Ok(Self { convolution, activation })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self.activation {
            Some(activation) => self.convolution.forward_activated(x, activation),
            None => self.convolution.forward(x),
        }
    }
}
