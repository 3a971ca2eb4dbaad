//! Batch normalisation with fixed statistics: folded into a convolution, or as a factor and a summand for each
//! channel.

use crate::isa::isa;
use crate::math::{Activation, apply_inline, mul_add, per_isa};
use crate::parallel::{self, SharedOut};

/// What a trained batch normalisation knows of each channel: `(x - mean) / sqrt(variance + eps) * weight + bias`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    /// Factor (gamma); 1 without it.
    pub weight: Option<&'a [f32]>,
    /// Summand (beta); 0 without it.
    pub bias: Option<&'a [f32]>,
    /// Running mean.
    pub mean: &'a [f32],
    /// Running variance.
    pub variance: &'a [f32],
    /// Added to the variance.
    pub eps: f64,
}

impl BatchNorm<'_> {
    /// The same as `x * scale + shift`, with one scale and one shift a channel.
    ///
    /// # Panics
    /// If the arrays differ in length.
    #[must_use]
    pub fn scale_and_shift(&self) -> (Vec<f32>, Vec<f32>) {
        let channels = self.mean.len();
        assert_eq!(self.variance.len(), channels, "variance: {channels} values are wanted");
        for parameter in [self.weight, self.bias].into_iter().flatten() {
            assert_eq!(parameter.len(), channels, "weight and bias: {channels} values are wanted");
        }
        let each = (0..channels).map(|channel| {
            let weight = self.weight.map_or(1.0, |weight| f64::from(weight[channel]));
            let bias = self.bias.map_or(0.0, |bias| f64::from(bias[channel]));
            let scale = weight / (f64::from(self.variance[channel]) + self.eps).sqrt();
            (scale as f32, (bias - f64::from(self.mean[channel]) * scale) as f32)
        });
        each.unzip()
    }

    /// Folds it into the convolution before it: `weight[out_channels, ...]`, and its bias if it had one.
    /// Answers the new bias.
    ///
    /// # Panics
    /// If a length does not fit.
    #[must_use]
    pub fn fold(&self, weight: &mut [f32], bias: Option<&[f32]>) -> Vec<f32> {
        self.fold_transposed(weight, bias, (1, 1))
    }

    /// Folds it into the transposed convolution before it, with `weight[in_channels, out_channels / groups,
    /// ...]`. Answers the new bias. `(in_channels, groups)` are the convolution's.
    ///
    /// # Panics
    /// If a length does not fit.
    #[must_use]
    pub fn fold_transposed(
        &self,
        weight: &mut [f32],
        bias: Option<&[f32]>,
        (in_channels, groups): (usize, usize),
    ) -> Vec<f32> {
        let (scale, shift) = self.scale_and_shift();
        let channels = scale.len();
        assert!(groups > 0 && in_channels.is_multiple_of(groups), "groups: a divisor of the channels");
        let outs = channels / groups;
        assert!(channels.is_multiple_of(groups), "groups: a divisor of the channels is wanted");
        assert!(weight.len().is_multiple_of((in_channels * outs).max(1)), "weight: one kernel a channel");
        let kernel = weight.len() / (in_channels * outs).max(1);
        for (index, kernel) in weight.chunks_exact_mut(kernel.max(1)).enumerate() {
            let group = index / outs / (in_channels / groups);
            let scale = scale[group * outs + index % outs];
            kernel.iter_mut().for_each(|value| *value *= scale);
        }
        let Some(bias) = bias else { return shift };
        assert_eq!(bias.len(), channels, "bias: {channels} values are wanted");
        bias.iter().zip(scale).zip(shift).map(|((bias, scale), shift)| bias * scale + shift).collect()
    }
}

/// `activation(values * scale + shift)` with one scale and one shift a channel, in place on `values[batch,
/// channels, pixels]`: a batch normalisation that could not be folded, by [`BatchNorm::scale_and_shift`].
///
/// # Panics
/// If `scale` and `shift` differ in length, or `values` are not whole planes of all channels.
pub fn scale_channels(
    values: &mut [f32],
    pixels: usize,
    scale: &[f32],
    shift: &[f32],
    activation: Activation,
) {
    let (length, channels) = (values.len(), scale.len());
    assert_eq!(shift.len(), channels, "shift: {channels} values are wanted");
    if length == 0 {
        return;
    }
    let whole = pixels * channels;
    assert!(whole > 0 && length.is_multiple_of(whole), "values: whole planes of all channels are wanted");
    let isa = isa();
    let shared = SharedOut::new(values);
    parallel::for_each(length / pixels, length * 2, &|plane| {
        let channel = plane % channels;
        // SAFETY: each plane is one task's.
        let plane = unsafe { shared.part(plane * pixels, pixels) };
        scale_plane(isa, plane, scale[channel], shift[channel], activation);
    });
}

per_isa! {
    fn scale_plane(plane: &mut [f32], scale: f32, shift: f32, activation: Activation) {
        // Parts stay in the first-level cache until their activation.
        for part in plane.chunks_mut(1024) {
            part.iter_mut().for_each(|value| *value = mul_add::<FMA>(*value, scale, shift));
            apply_inline::<FMA>(activation, part);
        }
    }
}
