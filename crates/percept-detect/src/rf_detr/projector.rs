//! From the encoder's maps to the one that queries look at (`RfDetrScaleProjector`).

use percept_backbone::{
    Activation, Conv2d, ConvShape, LayerNorm, Linear, Result, Tensor, ToContiguous, Weights, WeightsError,
};

use super::config::Shape;

/// Convolutions, some of whose channels pass by the others (C2f of YOLOv8), with norms over channels.
#[derive(Debug)]
pub(super) struct Projector {
    enter: (Linear, LayerNorm),
    blocks: Vec<[Convolution; 2]>,
    leave: (Linear, LayerNorm),
    norm: LayerNorm,
    activation: Activation,
    /// Channels inside.
    hidden: usize,
}

/// Three pixels a side, from and to maps `[batch, rows, columns, channels]`.
#[derive(Debug)]
struct Convolution {
    convolution: Conv2d,
    norm: LayerNorm,
}

impl Projector {
    /// Loads a projector of maps with `input` channels.
    pub(super) fn load(weights: &Weights, input: usize, shape: &Shape) -> Result<Self, WeightsError> {
        /// Of the last norm; no configuration states it.
        const EPS: f64 = 1e-6;
        let &Shape { dim, hidden, projector_eps: eps, .. } = shape;
        let stage = weights.at("stages.0");
        let layer = stage.at("0");
        let pointwise = |name: &str, input, output| {
            let part = layer.at(name);
            let linear = Linear::load_pointwise(&part.at("conv"), input, output)?;
            Ok::<_, WeightsError>((linear, LayerNorm::load(&part.at("bn"), output, eps)?))
        };
        let convolution = |weights: Weights| {
            let shape = ConvShape::square(hidden, hidden, 3).padding(1);
            let convolution = Conv2d::load(&weights.at("conv"), shape)?;
            let norm = LayerNorm::load(&weights.at("bn"), hidden, eps)?;
            Ok::<_, WeightsError>(Convolution { convolution, norm })
        };
        let block = |index: usize| {
            let part = |name: &str| convolution(layer.at(format!("m.{index}.{name}")));
            Ok([part("cv1")?, part("cv2")?])
        };
        Ok(Self {
            enter: pointwise("cv1", input, 2 * hidden)?,
            blocks: (0..shape.blocks).map(block).collect::<Result<_, WeightsError>>()?,
            leave: pointwise("cv2", (2 + shape.blocks) * hidden, dim)?,
            norm: LayerNorm::load(&stage.at("1"), dim, EPS)?,
            activation: shape.projector_activation,
            hidden,
        })
    }

    /// `[batch, rows, columns, input]` to `[batch, rows, columns, dim]`.
    pub(super) fn forward(&self, maps: &Tensor) -> Result<Tensor> {
        let entered = self.pointwise(&self.enter, maps)?;
        let mut last = entered.narrow(3, self.hidden, self.hidden)?;
        let mut all = vec![entered];
        for block in &self.blocks {
            for Convolution { convolution, norm } in block {
                let planes = last.permute([0, 3, 1, 2])?.to_contiguous()?;
                let made = convolution.forward(&planes)?.permute([0, 2, 3, 1])?;
                last = self.activation.forward(&norm.forward(&made)?)?;
            }
            all.push(last.clone());
        }
        self.norm.forward(&self.pointwise(&self.leave, &Tensor::cat(&all, 3)?)?)
    }

    fn pointwise(&self, (linear, norm): &(Linear, LayerNorm), x: &Tensor) -> Result<Tensor> {
        self.activation.forward(&norm.forward(&linear.forward(x)?)?)
    }
}
