//! One-dimensional convolution over channel-last sequences, as a matrix product.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::Result;
use crate::activation::Activation;
use crate::cpu::with_values;
use crate::linear::Linear;
use crate::weights::{Weights, WeightsError};

/// Steps that one task lays out.
const TOGETHER: usize = 64;

/// A convolution over time with zero padding, on `[batch, time, channels]`.
///
/// The layout is the Transformer's, not PyTorch's `[batch, channels, time]`: nothing is transposed
/// between the stem and the first layer.
#[derive(Clone, Debug)]
pub struct Conv1d {
    taps: Linear,
    kernel: usize,
    stride: usize,
    padding: usize,
}

/// The shape of a [`Conv1d`].
#[derive(Clone, Copy, Debug)]
pub struct Conv1dShape {
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Taps.
    pub kernel: usize,
    /// Steps between outputs.
    pub stride: usize,
    /// Zeros on either side.
    pub padding: usize,
}

impl Conv1d {
    /// Loads PyTorch's `weight` `[output, input, kernel]` and `bias` `[output]`.
    pub fn load(weights: &Weights, shape: Conv1dShape) -> Result<Self, WeightsError> {
        let Conv1dShape { input, output, kernel, stride, padding } = shape;
        let weight = weights.get("weight", &[output, input, kernel])?;
        let bias = weights.get("bias", &[output])?;
        let taps = weight
            .transpose(1, 2)
            .and_then(|w| w.contiguous())
            .and_then(|w| w.reshape((output, kernel * input)))
            .and_then(|w| Linear::new(&w, Some(bias), weights.precision()))
            .map_err(WeightsError::Engine)?;
        Ok(Self { taps, kernel, stride, padding })
    }

    /// `[batch, time, input]` to `[batch, (time + 2 padding - kernel) / stride + 1, output]`, through
    /// an activation.
    pub fn forward_activated(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        self.taps.forward_activated(&self.windows(x)?, activation)
    }

    /// [`Conv1d::forward_activated`], added to `residual` in the shape of the output.
    pub fn forward_activated_onto(
        &self,
        x: &Tensor,
        activation: Activation,
        residual: &Tensor,
    ) -> Result<Tensor> {
        self.taps.forward_activated_onto(&self.windows(x)?, activation, residual)
    }

    /// The inputs under the taps, `[batch, steps, kernel * input]`. Channels are last, so those of one
    /// step lie in a row.
    fn windows(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, time, input) = x.dims3()?;
        let steps = (time + 2 * self.padding - self.kernel) / self.stride + 1;
        if !x.device().is_cpu() {
            let padded = x.pad_with_zeros(1, self.padding, self.padding)?;
            let columns = (0..self.kernel)
                .map(|tap| {
                    let positions = (0..steps).map(|step| (step * self.stride + tap) as u32).collect();
                    padded.index_select(&Tensor::from_vec(positions, steps, x.device())?, 1)
                })
                .collect::<Result<Vec<_>>>()?;
            return Tensor::cat(&columns, 2);
        }
        let width = self.kernel * input;
        let windows = with_values(x, |values| {
            let mut windows = vec![0.0_f32; batch * steps * width];
            windows.par_chunks_mut(TOGETHER * width).enumerate().for_each(|(run, windows)| {
                for (index, window) in windows.chunks_exact_mut(width).enumerate() {
                    let (item, step) = ((run * TOGETHER + index) / steps, (run * TOGETHER + index) % steps);
                    // Positions of the padded input, and of them those that are in the input.
                    let start = step * self.stride;
                    let first = start.clamp(self.padding, time + self.padding);
                    let end = (start + self.kernel).clamp(first, time + self.padding);
                    if end == first {
                        continue;
                    }
                    let from = (item * time + first - self.padding) * input;
                    window[(first - start) * input..(end - start) * input]
                        .copy_from_slice(&values[from..from + (end - first) * input]);
                }
            });
            Ok(windows)
        })?;
        Tensor::from_vec(windows, (batch, steps, self.kernel * input), x.device())
    }
}
