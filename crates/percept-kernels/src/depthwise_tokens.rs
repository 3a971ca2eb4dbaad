//! Depthwise convolution of maps whose channels lie together, as tokens of a Transformer do.

use crate::isa::isa;
use crate::math::{Activation, apply_inline, mul_add, per_isa};
use crate::parallel::{self, SharedOut};
use crate::scratch::filled;

/// Channels whose sums stay in registers.
const LANES: usize = 64;

/// The weight of a depthwise convolution with stride 1 that keeps the size of its maps: odd kernels, zeros outside.
#[derive(Clone, Debug)]
pub struct PackedDepthwise {
    /// `[kernel height * kernel width][channels]`.
    taps: Vec<f32>,
    kernel: [usize; 2],
    channels: usize,
}

impl PackedDepthwise {
    /// From a weight `[channels, 1, kernel height, kernel width]`, as PyTorch stores it.
    ///
    /// # Panics
    /// If the weight has another size, or the kernel an even one.
    #[must_use]
    pub fn new(weight: &[f32], channels: usize, kernel: [usize; 2]) -> Self {
        let count = kernel[0] * kernel[1];
        assert_eq!(weight.len(), channels * count, "depthwise: the weight has another size");
        assert!(kernel.iter().all(|side| side % 2 == 1), "depthwise: kernels of odd sizes only");
        let taps = (0..count).flat_map(|tap| (0..channels).map(move |c| weight[c * count + tap])).collect();
        Self { taps, kernel, channels }
    }

    /// `activation(x * weight + bias)` of maps `[batch, height, width, channels]`, in the same shape.
    ///
    /// # Panics
    /// If lengths do not fit.
    #[must_use]
    pub fn forward(
        &self,
        x: &[f32],
        [height, width]: [usize; 2],
        bias: Option<&[f32]>,
        activation: Activation,
    ) -> Vec<f32> {
        let line = width * self.channels;
        assert!(line * height > 0 && x.len().is_multiple_of(line * height), "depthwise: no whole maps");
        assert!(bias.is_none_or(|bias| bias.len() == self.channels), "depthwise: a bias for each channel");
        let isa = isa();
        let write = |out: &mut [f32]| {
            let out = SharedOut::new(out);
            let cost = x.len() * self.kernel[0] * self.kernel[1];
            parallel::for_each(x.len() / line, cost, &|task| {
                let (item, y) = (task / height, task % height);
                let map = &x[item * height * line..][..height * line];
                // SAFETY: each row of tokens is one task's.
                let to = unsafe { out.part(task * line, line) };
                row(isa, self, map, ([height, width], y), bias, activation, to);
            });
        };
        // SAFETY: the tasks write every row, and read none.
        unsafe { filled(x.len(), write) }
    }
}

per_isa! {
    /// One row of tokens of the output.
    fn row(
        layer: &PackedDepthwise,
        map: &[f32],
        at: ([usize; 2], usize),
        bias: Option<&[f32]>,
        activation: Activation,
        out: &mut [f32],
    ) {
        let channels = layer.channels;
        for (x, token) in out.chunks_exact_mut(channels).enumerate() {
            for first in (0..channels).step_by(LANES) {
                let to = &mut token[first..channels.min(first + LANES)];
                let bias = bias.map(|bias| &bias[first..first + to.len()]);
                // Whole vectors have a length that the compiler knows.
                match <&mut [f32; LANES]>::try_from(&mut *to) {
                    Ok(to) => sums::<FMA>(layer, map, (at.0, [at.1, x]), first, bias, to),
                    Err(_) => sums::<FMA>(layer, map, (at.0, [at.1, x]), first, bias, to),
                }
            }
            apply_inline::<FMA>(activation, token);
        }
    }
}

/// The sums of the channels from `first` on of the token at row and column `at.1` of a map of the size `at.0`.
#[inline(always)]
fn sums<const FMA: bool>(
    layer: &PackedDepthwise,
    map: &[f32],
    ([height, width], [y, x]): ([usize; 2], [usize; 2]),
    first: usize,
    bias: Option<&[f32]>,
    to: &mut [f32],
) {
    let (count, [rows, columns]) = (to.len(), layer.kernel);
    let mut sums = [0.0; LANES];
    if let Some(bias) = bias {
        sums[..count].copy_from_slice(bias);
    }
    for ky in (rows / 2).saturating_sub(y)..rows.min(height + rows / 2 - y) {
        for kx in (columns / 2).saturating_sub(x)..columns.min(width + columns / 2 - x) {
            let pixel = (y + ky - rows / 2) * width + x + kx - columns / 2;
            let values = &map[pixel * layer.channels + first..][..count];
            let weights = &layer.taps[(ky * columns + kx) * layer.channels + first..][..count];
            for (sum, (value, weight)) in sums[..count].iter_mut().zip(values.iter().zip(weights)) {
                *sum = mul_add::<FMA>(*value, *weight, *sum);
            }
        }
    }
    to.copy_from_slice(&sums[..count]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConvShape, Epilogue, PackedConv, strided};

    /// The other depthwise convolution, which its own tests compare with PyTorch's definition.
    #[test]
    fn equals_the_convolution_of_planes() {
        for (batch, [height, width], channels, kernel) in [
            (1, [1, 1], 1, [1, 1]),
            (2, [5, 7], 70, [3, 3]),
            (1, [9, 2], 64, [5, 3]),
            (1, [40, 33], 200, [3, 3]),
        ] {
            let number = |i: usize| ((i * 7919) % 1009) as f32 / 500.0 - 1.0;
            let x: Vec<f32> = (0..batch * height * width * channels).map(number).collect();
            let weight: Vec<f32> = (0..channels * kernel[0] * kernel[1]).map(|i| number(i + 3)).collect();
            let bias: Vec<f32> = (0..channels).map(number).collect();
            let shape = ConvShape {
                kernel,
                padding: kernel.map(|side| side / 2),
                groups: channels,
                ..ConvShape::square(channels, channels, 1)
            };
            let pixels = height * width;
            let planes = strided(&x, &[batch, channels, pixels], &[pixels * channels, 1, channels]);
            let mut expected = vec![0.0; x.len()];
            let epilogue = Epilogue::NONE.bias(Some(&bias)).activation(Activation::GeluErf);
            PackedConv::new(&weight, shape).apply(&planes, batch, [height, width], &mut expected, &epilogue);
            let expected = strided(&expected, &[batch, pixels, channels], &[pixels * channels, 1, pixels]);
            for isa in crate::available() {
                let found = crate::with_isa(isa, || {
                    PackedDepthwise::new(&weight, channels, kernel).forward(
                        &x,
                        [height, width],
                        Some(&bias),
                        Activation::GeluErf,
                    )
                });
                let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 2e-6, "{isa:?} {height}x{width}x{channels}: {worst}");
            }
        }
    }
}
