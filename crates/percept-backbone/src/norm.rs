//! Normalisation of what it is given: over the last dimension, or over groups of channels.

use candle_core::{D, Device, Tensor};
use percept_kernels::{Activation as KernelActivation, GroupNorm as Kernel, l2_norm};

use crate::activation::Activation;
use crate::cpu::{Engine, LayerNormOp, run_kernel};
use crate::weights::{Weights, WeightsError};
use crate::{Result, ToContiguous};

/// Layer normalisation over the last dimension, with scale and shift.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

impl LayerNorm {
    /// Loads `weight` and `bias` of length `dim`. `eps` has no default: a wrong one changes numbers.
    pub fn load(weights: &Weights, dim: usize, eps: f64) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.get("weight", &[dim])?,
            bias: weights.get("bias", &[dim])?,
            eps: eps as f32,
        })
    }

    #[cfg(test)]
    pub(crate) fn new(weight: Tensor, bias: Tensor, eps: f32) -> Self {
        Self { weight, bias, eps }
    }

    /// Weight and bias, `[dim]` each, and what is added to the variance.
    pub(crate) fn parts(&self) -> ([&Tensor; 2], f32) {
        ([&self.weight, &self.bias], self.eps)
    }

    /// `[.., dim]` to `[.., dim]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.to_contiguous()?;
        match x.device() {
            Device::Cpu => x.apply_op3_no_bwd(&self.weight, &self.bias, &LayerNormOp { eps: self.eps }),
            _ => candle_nn::ops::layer_norm(&x, &self.weight, &self.bias, self.eps),
        }
    }

    /// Over the channels of maps `[batch, dim, height, width]`, to the same shape.
    pub fn forward_on_channels(&self, x: &Tensor) -> Result<Tensor> {
        self.forward(&x.permute([0, 2, 3, 1])?)?.permute([0, 3, 1, 2])?.to_contiguous()
    }
}

/// Normalisation of `[batch, channels, ..]` over groups of channels, with scale and shift for each channel.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: usize,
    eps: f32,
}

impl GroupNorm {
    /// Loads `weight` and `bias` of length `channels`. `eps` has no default: a wrong one changes numbers.
    pub fn load(weights: &Weights, groups: usize, channels: usize, eps: f64) -> Result<Self, WeightsError> {
        if groups == 0 || !channels.is_multiple_of(groups) {
            let message = format!("group norm: {channels} channels in {groups} groups");
            return Err(WeightsError::Engine(candle_core::Error::Msg(message)));
        }
        let (weight, bias) = (weights.get("weight", &[channels])?, weights.get("bias", &[channels])?);
        Ok(Self { weight, bias, groups, eps: eps as f32 })
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
        let channels = self.weight.dim(0)?;
        if x.rank() < 2 || x.dim(1)? != channels {
            candle_core::bail!("group norm: {:?} has not {channels} channels", x.dims());
        }
        if engine == Engine::Candle {
            let grouped = x.reshape((x.dim(0)?, self.groups, ()))?;
            let centred = grouped.broadcast_sub(&grouped.mean_keepdim(2)?)?;
            let spread = (centred.sqr()?.mean_keepdim(2)? + f64::from(self.eps))?.sqrt()?;
            let mut shape = vec![1; x.rank()];
            shape[1] = channels;
            let y = centred.broadcast_div(&spread)?.reshape(x.shape())?;
            let y = y.broadcast_mul(&self.weight.reshape(shape.as_slice())?)?;
            let y = y.broadcast_add(&self.bias.reshape(shape)?)?;
            return activation.map_or(Ok(y.clone()), |activation| activation.forward(&y));
        }
        run_kernel("group-norm", [x, &self.weight, &self.bias], |operands| {
            let [(values, dims), (weight, _), (bias, _)] = operands else { unreachable!("three were given") };
            let norm = Kernel {
                channels,
                groups: self.groups,
                weight: Some(weight),
                bias: Some(bias),
                eps: self.eps,
                activation: activation.map_or(KernelActivation::None, Activation::kernel),
            };
            let mut out = vec![0.0; values.len()];
            norm.apply(values, dims[0], &mut out);
            Ok((out, (*dims).into()))
        })
    }
}

/// Divides each vector of the last dimension by its length, or by `eps` where that is larger
/// (`torch.nn.functional.normalize`).
pub fn l2_normalize(x: &Tensor, eps: f32) -> Result<Tensor> {
    l2_normalize_by(x, eps, Engine::of(x.device()))
}

pub(crate) fn l2_normalize_by(x: &Tensor, eps: f32, engine: Engine) -> Result<Tensor> {
    if engine == Engine::Candle {
        let length = x.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
        return x.broadcast_div(&length.maximum(eps)?);
    }
    let width = x.dim(D::Minus1)?;
    run_kernel("l2-norm", [x], |operands| {
        let (values, dims) = operands[0];
        let mut out = vec![0.0; values.len()];
        if !values.is_empty() {
            l2_norm(values, width, eps, &mut out);
        }
        Ok((out, dims.into()))
    })
}
