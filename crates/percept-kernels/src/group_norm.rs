//! Group normalisation of feature maps.

use crate::isa::isa;
use crate::math::{Activation, apply_inline, mul_add, per_isa};
use crate::norm::sum_of;
use crate::parallel::{self, SharedOut};
use crate::scratch::Scratch;

/// Values whose statistics are taken at once, while they are in the first-level cache.
const PART: usize = 4096;

/// Normalisation over groups of channels, as `torch.nn.GroupNorm`: `(x - mean) / sqrt(variance + eps) * weight
/// + bias`, with mean and variance over all pixels of a group's channels, then an activation.
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm<'a> {
    /// Channels.
    pub channels: usize,
    /// Groups that they form; a divisor of `channels`.
    pub groups: usize,
    /// One factor per channel.
    pub weight: Option<&'a [f32]>,
    /// One summand per channel.
    pub bias: Option<&'a [f32]>,
    /// Added to the variance.
    pub eps: f32,
    /// Applied last.
    pub activation: Activation,
}

impl GroupNorm<'_> {
    /// `input[batch, channels, pixels]` to `out`, of the same shape.
    ///
    /// # Panics
    /// If a length does not fit, or `groups` does not divide `channels`.
    pub fn apply(&self, input: &[f32], batch: usize, out: &mut [f32]) {
        let Self { channels, groups, weight, bias, .. } = *self;
        assert_eq!(input.len(), out.len(), "input and output need one length");
        assert!(groups > 0 && channels.is_multiple_of(groups), "groups: a divisor of {channels} is wanted");
        for parameter in [weight, bias].into_iter().flatten() {
            assert_eq!(parameter.len(), channels, "weight and bias: {channels} values are wanted");
        }
        if input.is_empty() {
            return;
        }
        let planes = batch * channels;
        assert!(planes > 0 && input.len().is_multiple_of(planes), "whole planes of {batch} x {channels}");
        let (pixels, together) = (input.len() / planes, channels / groups);
        let length = pixels * together;
        // Groups are divided among threads; a few large ones also within themselves.
        let inner = if batch * groups < parallel::threads() { length * 4 } else { 0 };
        let isa = isa();
        let out = SharedOut::new(out);
        parallel::for_each(batch * groups, input.len() * 4, &|index| {
            let values = &input[index * length..][..length];
            let (mean, factor) = statistics(isa, values, self.eps, inner);
            parallel::for_each(together, inner, &|member| {
                let channel = index % groups * together + member;
                let scale = factor * weight.map_or(1.0, |weight| weight[channel]);
                let shift = bias.map_or(0.0, |bias| bias[channel]);
                let at = member * pixels;
                // SAFETY: each plane is one task's.
                let out = unsafe { out.part(index * length + at, pixels) };
                normalise(isa, &values[at..at + pixels], [mean, scale, shift], self.activation, out);
            });
        });
    }
}

/// Mean and `1 / sqrt(variance + eps)`.
fn statistics(isa: crate::Isa, values: &[f32], eps: f32, cost: usize) -> (f32, f32) {
    let parts = values.len().div_ceil(PART);
    let mut buffer = Scratch::floats(2 * parts);
    let sums = buffer.as_floats();
    let shared = SharedOut::new(sums);
    parallel::for_each(parts, cost, &|part| {
        let values = &values[part * PART..values.len().min((part + 1) * PART)];
        // SAFETY: each task has its own pair.
        unsafe { shared.part(2 * part, 2) }.copy_from_slice(&mean_and_spread(isa, values));
    });
    // Deviations from each part's own mean are combined as Chan, Golub and LeVeque do (1979): squares of
    // values far from zero would lose their digits.
    let (mut count, mut mean, mut spread) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (part, sums) in sums.chunks_exact(2).enumerate() {
        let more = PART.min(values.len() - part * PART) as f64;
        let delta = f64::from(sums[0]) - mean;
        let total = count + more;
        mean += delta * more / total;
        spread += f64::from(sums[1]) + delta * delta * count * more / total;
        count = total;
    }
    (mean as f32, (1.0 / (spread / count + f64::from(eps)).sqrt()) as f32)
}

per_isa! {
    /// The mean, and the sum of squares of what is left after it.
    ///
    /// Both come from one pass over differences from a mean of the first values. That of m of n values is at
    /// most sqrt(n / m) deviations away from the mean of all (Cauchy and Schwarz), so that the subtraction at
    /// the end costs at most five bits, and hardly ever one.
    fn mean_and_spread(values: &[f32]) -> [f32; 2] {
        const FIRST: usize = 128;
        let first = &values[..values.len().min(FIRST)];
        let near = sum_of(first, |x| x) / first.len() as f32;
        let mut sums = [[0.0_f32; 32]; 2];
        let (lines, rest) = values.as_chunks::<32>();
        for line in lines {
            for i in 0..32 {
                let difference = line[i] - near;
                sums[0][i] += difference;
                sums[1][i] = mul_add::<FMA>(difference, difference, sums[1][i]);
            }
        }
        for (i, x) in rest.iter().enumerate() {
            let difference = x - near;
            sums[0][i] += difference;
            sums[1][i] = mul_add::<FMA>(difference, difference, sums[1][i]);
        }
        let [sum, squares] = sums.map(|lanes| sum_of(&lanes, |x| x));
        let offset = sum / values.len() as f32;
        [near + offset, (squares - offset * sum).max(0.0)]
    }
}

per_isa! {
    fn normalise(values: &[f32], factors: [f32; 3], activation: Activation, out: &mut [f32]) {
        let [mean, scale, shift] = factors;
        // Parts stay in the first-level cache until their activation.
        for (out, values) in out.chunks_mut(1024).zip(values.chunks(1024)) {
            for (out, x) in out.iter_mut().zip(values) {
                *out = mul_add::<FMA>(x - mean, scale, shift);
            }
            apply_inline::<FMA>(activation, out);
        }
    }
}
