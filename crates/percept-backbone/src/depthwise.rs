//! Depthwise convolution of maps whose channels lie together.

use std::fmt;
use std::sync::Arc;

use candle_core::Tensor;
use percept_kernels::{Activation as KernelActivation, ConvShape, PackedDepthwise};

use crate::activation::Activation;
use crate::conv2d::Conv2d;
use crate::cpu::run_kernel;
use crate::weights::{Weights, WeightsError};
use crate::{Result, ToContiguous};

/// A depthwise convolution with stride 1 that keeps the size of its maps, `[batch, height, width, channels]`, f32.
#[derive(Clone)]
pub struct Depthwise {
    form: Form,
}

#[derive(Clone)]
enum Form {
    /// On the processor.
    Packed { weight: Arc<PackedDepthwise>, bias: Option<Arc<[f32]>> },
    /// Elsewhere.
    Planes(Conv2d),
}

impl fmt::Debug for Depthwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Depthwise").finish_non_exhaustive()
    }
}

impl Depthwise {
    /// Loads `torch.nn.Conv2d(channels, channels, side, padding=side // 2, groups=channels)`, `side` odd: `weight`
    /// `[channels, 1, side, side]` and, where it is there, `bias` `[channels]`.
    pub fn load(weights: &Weights, channels: usize, side: usize) -> Result<Self, WeightsError> {
        if !weights.device().is_cpu() {
            let shape = ConvShape::square(channels, channels, side).padding(side / 2).groups(channels);
            return Ok(Self { form: Form::Planes(Conv2d::load(weights, shape)?) });
        }
        let numbers =
            |x: Tensor| x.flatten_all().and_then(|x| x.to_vec1::<f32>()).map_err(WeightsError::Engine);
        let weight = numbers(weights.get("weight", &[channels, 1, side, side])?)?;
        let bias = match weights.has("bias") {
            true => Some(numbers(weights.get("bias", &[channels])?)?.into()),
            false => None,
        };
        let weight = Arc::new(PackedDepthwise::new(&weight, channels, [side; 2]));
        Ok(Self { form: Form::Packed { weight, bias } })
    }

    /// `activation` of the convolution of `[batch, height, width, channels]`, in the same shape.
    pub fn forward_activated(&self, x: &Tensor, activation: Option<Activation>) -> Result<Tensor> {
        match &self.form {
            Form::Packed { weight, bias } => run_kernel("depthwise", [x], |operands| {
                let (values, dims) = operands[0];
                let &[_, height, width, _] = dims else {
                    candle_core::bail!("depthwise: [batch, height, width, channels] is wanted, not {dims:?}");
                };
                let activation = activation.map_or(KernelActivation::None, Activation::kernel);
                let out = weight.forward(values, [height, width], bias.as_deref(), activation);
                Ok((out, dims.to_vec().into()))
            }),
            Form::Planes(convolution) => {
                let planes = x.permute([0, 3, 1, 2])?;
                let made = match activation {
                    Some(activation) => convolution.forward_activated(&planes, activation)?,
                    None => convolution.forward(&planes)?,
                };
                made.permute([0, 2, 3, 1])?.to_contiguous()
            }
        }
    }
}
