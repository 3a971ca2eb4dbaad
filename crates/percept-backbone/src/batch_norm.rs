//! Batch normalisation with the statistics of training.

use candle_core::Tensor;
use percept_kernels::{Activation as KernelActivation, BatchNorm as Kernel, scale_channels};

use crate::Result;
use crate::activation::Activation;
use crate::cpu::{Engine, run_kernel};
use crate::weights::{Weights, WeightsError};

/// Batch normalisation of `[batch, channels, ..]` with fixed statistics. After a convolution it costs nothing when
/// it is folded into it ([`Conv2d::load_folded`](crate::Conv2d::load_folded)); by itself it is one pass.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    weight: Option<Vec<f32>>,
    bias: Option<Vec<f32>>,
    mean: Vec<f32>,
    variance: Vec<f32>,
    eps: f64,
    /// The same as one factor and one summand a channel.
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl BatchNorm {
    /// Loads `running_mean` and `running_var` and, where they are there, `weight` and `bias`, as `torch.nn.BatchNorm2d`
    /// and the frozen ones of detectors name them. `eps` has no default: a wrong one changes numbers.
    pub fn load(weights: &Weights, channels: usize, eps: f64) -> Result<Self, WeightsError> {
        let read =
            |name: &str| weights.get(name, &[channels])?.to_vec1::<f32>().map_err(WeightsError::Engine);
        let affine = |name: &str| weights.has(name).then(|| read(name)).transpose();
        let mut norm = Self {
            weight: affine("weight")?,
            bias: affine("bias")?,
            mean: read("running_mean")?,
            variance: read("running_var")?,
            eps,
            scale: vec![],
            shift: vec![],
        };
        (norm.scale, norm.shift) = norm.kernel().scale_and_shift();
        Ok(norm)
    }

    pub(crate) fn channels(&self) -> usize {
        self.mean.len()
    }

    pub(crate) fn kernel(&self) -> Kernel<'_> {
        Kernel {
            weight: self.weight.as_deref(),
            bias: self.bias.as_deref(),
            mean: &self.mean,
            variance: &self.variance,
            eps: self.eps,
        }
    }

    /// `[batch, channels, ..]` to the same shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None, Engine::of(x.device()))
    }

    /// The same through an activation.
    pub fn forward_activated(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        self.run(x, Some(activation), Engine::of(x.device()))
    }

    pub(crate) fn run(&self, x: &Tensor, activation: Option<Activation>, engine: Engine) -> Result<Tensor> {
        let channels = self.channels();
        if x.rank() < 2 || x.dim(1)? != channels {
            candle_core::bail!("batch norm: {:?} has not {channels} channels", x.dims());
        }
        if engine == Engine::Candle {
            let mut shape = vec![1; x.rank()];
            shape[1] = channels;
            let [scale, shift] = [&self.scale, &self.shift]
                .map(|values| Tensor::from_slice(values, shape.as_slice(), x.device()));
            let y = x.broadcast_mul(&scale?)?.broadcast_add(&shift?)?;
            return activation.map_or(Ok(y.clone()), |activation| activation.forward(&y));
        }
        run_kernel("batch-norm", [x], |operands| {
            let (values, dims) = operands[0];
            let mut out = values.to_vec();
            let activation = activation.map_or(KernelActivation::None, Activation::kernel);
            let pixels = dims[2..].iter().product();
            scale_channels(&mut out, pixels, &self.scale, &self.shift, activation);
            Ok((out, dims.into()))
        })
    }
}
