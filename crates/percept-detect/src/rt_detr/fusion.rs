//! Convolutions that two maps go through when they meet.

use percept_backbone::{
    Activation, BatchNorm, Conv2d, ConvShape, Result, Tensor, ToContiguous, Weights, WeightsError,
};

use super::config::EncoderShape;

/// A convolution with its norm and, where it has one, an activation (`RTDetrConvNormLayer`).
#[derive(Debug)]
pub(crate) struct ConvNorm {
    convolution: Conv2d,
    activation: Option<Activation>,
}

/// Where two maps become one.
#[derive(Debug)]
pub(crate) enum Fusion {
    /// RT-DETR's (`RTDetrCSPRepLayer`).
    Csp(Box<Csp>),
    /// D-FINE's (`DFineRepNCSPELAN4`).
    Elan(Box<Elan>),
}

/// Two ways, one of them through blocks of RepVGG.
#[derive(Debug)]
pub(crate) struct Csp {
    long: ConvNorm,
    short: ConvNorm,
    blocks: Vec<ConvNorm>,
    /// None where the ways have as many channels as what comes out.
    widening: Option<ConvNorm>,
}

/// Halves, and what comes of one of them in two steps, all of which is kept.
#[derive(Debug)]
pub(crate) struct Elan {
    split: ConvNorm,
    steps: [(Csp, ConvNorm); 2],
    merged: ConvNorm,
}

/// Channels of what goes into two ways, of the ways, and of what comes out.
struct Ways {
    from: usize,
    inside: usize,
    to: usize,
    blocks: usize,
}

impl ConvNorm {
    /// Of `conv` and `norm`.
    pub(crate) fn load(
        weights: &Weights,
        shape: ConvShape,
        eps: f64,
        activation: Option<Activation>,
    ) -> Result<Self, WeightsError> {
        Self::named(&weights.at("conv"), &weights.at("norm"), shape, eps, activation)
    }

    /// Of a convolution and a norm under any names.
    pub(crate) fn named(
        convolution: &Weights,
        norm: &Weights,
        shape: ConvShape,
        eps: f64,
        activation: Option<Activation>,
    ) -> Result<Self, WeightsError> {
        let norm = BatchNorm::load(norm, shape.out_channels, eps)?;
        Ok(Self { convolution: Conv2d::load_folded(convolution, shape, &norm)?, activation })
    }

    /// A block of RepVGG (`RTDetrRepVggBlock`): the sum of two, as one.
    fn rep_vgg(weights: &Weights, channels: usize, shape: &EncoderShape) -> Result<Self, WeightsError> {
        let [large, small] = ["conv1", "conv2"].map(|name| weights.at(name));
        let norm = |weights: &Weights| BatchNorm::load(&weights.at("norm"), channels, shape.batch_eps);
        let convolution = Conv2d::load_summed(
            (&large.at("conv"), &norm(&large)?),
            (&small.at("conv"), &norm(&small)?),
            ConvShape::square(channels, channels, 3).padding(1),
        )?;
        Ok(Self { convolution, activation: Some(shape.of_convolutions) })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self.activation {
            Some(activation) => self.convolution.forward_activated(x, activation),
            None => self.convolution.forward(x),
        }
    }
}

impl Fusion {
    /// RT-DETR's, of two maps of the encoder, one behind the other.
    pub(crate) fn load_csp(weights: &Weights, shape: &EncoderShape) -> Result<Self, WeightsError> {
        let inside = (shape.dim as f64 * shape.expansion) as usize;
        let ways = Ways { from: 2 * shape.dim, inside, to: shape.dim, blocks: 3 };
        Ok(Self::Csp(Box::new(Csp::load(weights, shape, &ways)?)))
    }

    /// D-FINE's.
    pub(crate) fn load_elan(weights: &Weights, shape: &EncoderShape) -> Result<Self, WeightsError> {
        let dim = shape.dim;
        let inside = (shape.expansion * dim as f64 / 2.0).floor() as usize;
        // Whatever the configuration says of the other ones.
        let silu = Some(Activation::Silu);
        let layer = |name: &str, shape: ConvShape, eps| ConvNorm::load(&weights.at(name), shape, eps, silu);
        let (one, eps) = (ConvShape::square, shape.batch_eps);
        // Python's `round`.
        let blocks = (3.0 * shape.depth).round_ties_even() as usize;
        let step = |ways: &str, name: &str, from: usize| {
            let ways = Csp::load(&weights.at(ways), shape, &Ways { from, inside, to: inside, blocks })?;
            Ok::<_, WeightsError>((ways, layer(name, one(inside, inside, 3).padding(1), eps)?))
        };
        Ok(Self::Elan(Box::new(Elan {
            split: layer("conv1", one(2 * dim, 2 * dim, 1), eps)?,
            steps: [step("csp_rep1", "conv2", dim)?, step("csp_rep2", "conv3", inside)?],
            merged: layer("conv4", one(dim, 2 * dim + 2 * inside, 1), eps)?,
        })))
    }

    /// `[batch, 2 * channels, rows, columns]` to `[batch, channels, rows, columns]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Csp(ways) => ways.forward(x),
            Self::Elan(elan) => elan.forward(x),
        }
    }
}

impl Csp {
    fn load(weights: &Weights, shape: &EncoderShape, ways: &Ways) -> Result<Self, WeightsError> {
        let Ways { from, inside, to, blocks } = *ways;
        let layer = |name: &str, out: usize, input: usize| {
            let activation = Some(shape.of_convolutions);
            ConvNorm::load(&weights.at(name), ConvShape::square(out, input, 1), shape.batch_eps, activation)
        };
        let block =
            |index: usize| ConvNorm::rep_vgg(&weights.at(format!("bottlenecks.{index}")), inside, shape);
        Ok(Self {
            long: layer("conv1", inside, from)?,
            short: layer("conv2", inside, from)?,
            blocks: (0..blocks).map(block).collect::<Result<_, _>>()?,
            widening: (inside != to).then(|| layer("conv3", to, inside)).transpose()?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let long = self.blocks.iter().try_fold(self.long.forward(x)?, |x, block| block.forward(&x))?;
        let both = self.short.convolution.forward_onto(x, self.short.activation, &long)?;
        self.widening.as_ref().map_or(Ok(both.clone()), |widening| widening.forward(&both))
    }
}

impl Elan {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let halves = self.split.forward(x)?;
        let dim = halves.dim(1)? / 2;
        let mut last = halves.narrow(1, dim, dim)?.to_contiguous()?;
        let mut all = vec![halves];
        for (ways, convolution) in &self.steps {
            last = convolution.forward(&ways.forward(&last)?)?;
            all.push(last.clone());
        }
        self.merged.forward(&Tensor::cat(&all, 1)?)
    }
}
