//! How likely each bin is (`ZoeDepthConditionalLogBinomialSoftmax`), and the depth that this comes to.

use percept_backbone::{
    Activation, Alignment, Conv2d, ConvShape, Filter, Result, Tensor, ToContiguous, Weights, WeightsError,
    resize,
};
use rayon::prelude::*;

use super::bins::{each_value, flat, softplus};

/// From features and bins to depth.
pub(super) struct Mixture {
    /// The first convolution's part for the features, with the bias.
    features: Conv2d,
    /// Its part for the embedding of bins. It acts on single pixels, so it may come before the embedding is resized.
    embedding: Conv2d,
    last: Conv2d,
    temperature: [f32; 2],
    bins: usize,
}

/// Added to both parts of a ratio.
const LEAST: f32 = 1e-4;

impl Mixture {
    /// Loads `mlp`, for that many channels of features and of the embedding, with `hidden` inside.
    pub(super) fn load(
        weights: &Weights,
        [features, embedding, hidden]: [usize; 3],
        temperature: [f32; 2],
        bins: usize,
    ) -> Result<Self, WeightsError> {
        let first = weights.at("mlp.0");
        let weight = first.get("weight", &[hidden, features + embedding, 1, 1])?;
        let bias = first.get("bias", &[hidden])?;
        let part = |at: usize, channels: usize, bias: Option<&Tensor>| {
            let weight = weight.narrow(1, at, channels)?.to_contiguous()?;
            Conv2d::from_weight(&weight, bias, ConvShape::square(hidden, channels, 1), weights.precision())
        };
        Ok(Self {
            features: part(0, features, Some(&bias)).map_err(WeightsError::Engine)?,
            embedding: part(features, embedding, None).map_err(WeightsError::Engine)?,
            // Two numbers for a probability, two for a temperature.
            last: Conv2d::load(&weights.at("mlp.2"), ConvShape::square(4, hidden, 1))?,
            temperature,
            bins,
        })
    }

    /// Features `[batch, features, height, width]`, and the embedding and the centres of bins in any size, to depth
    /// `[batch, height, width]`.
    pub(super) fn depth(&self, features: &Tensor, embedding: &Tensor, centres: &Tensor) -> Result<Tensor> {
        let (batch, _, height, width) = features.dims4()?;
        let sized = |x: &Tensor| resize(x, [height, width], Filter::Bilinear, Alignment::Corners);
        let embedding = sized(&self.embedding.forward(embedding)?)?;
        let hidden = self.features.forward_joined(features, &embedding, Activation::GeluErf)?;
        let shape = flat(&each_value(&self.last.forward(&hidden)?, softplus)?)?;
        let centres = flat(&sized(centres)?)?;
        let (pixels, logs) = (height * width, self.log_binomials());
        let mut depth = vec![0.0; batch * pixels];
        /// Pixels that a task looks at.
        const PART: usize = 1 << 10;
        depth.par_chunks_mut(pixels).enumerate().for_each(|(item, depth)| {
            let shape = &shape[item * 4 * pixels..][..4 * pixels];
            let centres = &centres[item * self.bins * pixels..][..self.bins * pixels];
            depth.par_chunks_mut(PART).enumerate().for_each(|(part, depth)| {
                let first = part * PART;
                for (at, depth) in depth.iter_mut().enumerate() {
                    let pixel = first + at;
                    let shape = [0, 1, 2, 3].map(|plane| shape[plane * pixels + pixel] + LEAST);
                    *depth = self.mean(shape, &logs, |bin| centres[bin * pixels + pixel]);
                }
            });
        });
        Tensor::from_vec(depth, (batch, height, width), features.device())
    }

    /// The mean of centres under a binomial distribution of some probability, at some temperature.
    fn mean(&self, [yes, no, hot, cold]: [f32; 4], logs: &[f32], centre: impl Fn(usize) -> f32) -> f32 {
        let probability = yes / (yes + no);
        let [least, most] = self.temperature;
        let temperature = (most - least) * (hot / (hot + cold)) + least;
        let of_yes = probability.clamp(LEAST, 1.0).ln();
        let of_no = (1.0 - probability).clamp(LEAST, 1.0).ln();
        let trials = (self.bins - 1) as f32;
        let score =
            |bin: usize| (logs[bin] + bin as f32 * of_yes + (trials - bin as f32) * of_no) / temperature;
        let largest = (0..self.bins).map(score).fold(f32::NEG_INFINITY, f32::max);
        let (mut sum, mut mean) = (0.0, 0.0);
        for bin in 0..self.bins {
            let weight = (score(bin) - largest).exp();
            sum += weight;
            mean += weight * centre(bin);
        }
        mean / sum
    }

    /// The logarithms of how many ways there are to each bin, by Stirling's formula in the reference's arithmetic.
    fn log_binomials(&self) -> Vec<f32> {
        const TINY: f32 = 1e-7;
        let n = (self.bins - 1) as f32 + TINY;
        let log = |bin: usize| {
            let k = bin as f32 + TINY;
            n * n.ln() - k * k.ln() - (n - k) * (n - k + TINY).ln()
        };
        (0..self.bins).map(log).collect()
    }
}
