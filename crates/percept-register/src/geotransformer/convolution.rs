//! Kernel point convolution (Thomas et al. 2019, "KPConv", arXiv 1904.08889), norms over points, pooling.
//! `geotransformer/modules/kpconv`.

use percept_backbone::{Device, Linear, Result, Tensor, ToContiguous, Weights, WeightsError};
use rayon::prelude::*;

use super::pyramid::{NONE, Near};

/// PyTorch's default for norms.
const EPS: f64 = 1e-5;
/// LeakyReLU's slope below zero.
const SLOPE: f32 = 0.1;
/// Numbers that a product is made of at a time: 32 MB.
const AT_A_TIME: usize = 1 << 23;
/// Rows whose sums are added in their order.
const CHUNK: usize = 1024;

/// Features of points, a row each.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) values: Vec<f32>,
    pub(super) channels: usize,
}

impl Rows {
    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.values.len() / self.channels
    }

    pub(super) fn row(&self, at: usize) -> &[f32] {
        &self.values[at * self.channels..][..self.channels]
    }

    /// `[rows, channels]`.
    pub(super) fn tensor(&self) -> Result<Tensor> {
        Tensor::from_slice(&self.values, (self.len(), self.channels), &Device::Cpu)
    }

    /// Through a matrix to `channels`.
    pub(super) fn through(&self, linear: &Linear, channels: usize) -> Result<Self> {
        let mut values = Vec::new();
        linear.forward_into(&self.tensor()?, &mut values)?;
        Ok(Self { values, channels })
    }

    /// `max(x, 0.1 x)`.
    pub(super) fn leaky(mut self) -> Self {
        self.values.par_chunks_mut(CHUNK * 16).for_each(|values| {
            values.iter_mut().for_each(|value| *value = leaky(*value));
        });
        self
    }

    /// `leaky(x + y)`.
    pub(super) fn joined(mut self, other: &Self) -> Self {
        let chunks = self.values.par_chunks_mut(CHUNK * 16).zip(other.values.par_chunks(CHUNK * 16));
        chunks.for_each(|(values, others)| {
            values.iter_mut().zip(others).for_each(|(value, other)| *value = leaky(*value + other));
        });
        self
    }

    /// The largest of the neighbours in each channel; of zero too where a point has fewer than there is room for (`maxpool`).
    pub(super) fn pooled(&self, near: &Near) -> Self {
        let mut values = vec![0.0; near.indices.len() / near.width * self.channels];
        values.par_chunks_mut(self.channels).zip(near.rows()).for_each(|(out, row)| {
            let all = row.last().is_some_and(|last| *last != NONE);
            out.fill(if all { f32::NEG_INFINITY } else { 0.0 });
            for index in row.iter().take_while(|index| **index != NONE) {
                let from = self.row(*index as usize);
                out.iter_mut()
                    .zip(from)
                    .for_each(|(out, from)| *out = if *from > *out { *from } else { *out });
            }
        });
        Self { values, channels: self.channels }
    }

    /// Each point's `parent`, zeros where it has none, and behind it the point's own features (`nearest_upsample`, `cat`).
    pub(super) fn upsampled_beside(&self, parents: &[u32], own: &Self) -> Self {
        let channels = self.channels + own.channels;
        let mut values = vec![0.0; parents.len() * channels];
        values.par_chunks_mut(channels).zip(parents).enumerate().for_each(|(at, (out, parent))| {
            let (upper, lower) = out.split_at_mut(self.channels);
            if *parent != NONE {
                upper.copy_from_slice(self.row(*parent as usize));
            }
            lower.copy_from_slice(own.row(at));
        });
        Self { values, channels }
    }
}

fn leaky(value: f32) -> f32 {
    if value < 0.0 { SLOPE * value } else { value }
}

/// Normalisation over groups of channels and all points of both clouds (`GroupNorm`).
#[derive(Clone, Debug)]
pub(super) struct PointNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    groups: usize,
}

impl PointNorm {
    /// Loads `norm.weight` and `norm.bias`.
    pub(super) fn load(weights: &Weights, groups: usize, channels: usize) -> Result<Self, WeightsError> {
        if !channels.is_multiple_of(groups) {
            return Err(WeightsError::Format(format!(
                "config.json: `backbone.group_norm` is {groups}, of {channels} channels"
            )));
        }
        let get = |name: &str| weights.get(name, &[channels])?.to_vec1().map_err(WeightsError::Engine);
        Ok(Self { weight: get("norm.weight")?, bias: get("norm.bias")?, groups })
    }

    pub(super) fn forward(&self, mut rows: Rows) -> Rows {
        let channels = rows.channels;
        let sums = |values: &[f32]| {
            let mut sums = vec![[0.0_f64; 2]; channels];
            for row in values.chunks_exact(channels) {
                for ([sum, squares], value) in sums.iter_mut().zip(row) {
                    let value = f64::from(*value);
                    *sum += value;
                    *squares += value * value;
                }
            }
            sums
        };
        let all: Vec<Vec<[f64; 2]>> = rows.values.par_chunks(CHUNK * channels).map(sums).collect();
        let width = channels / self.groups;
        let count = (rows.len() * width) as f64;
        let (mut scale, mut shift) = (vec![0.0; channels], vec![0.0; channels]);
        for group in 0..self.groups {
            let own = group * width..(group + 1) * width;
            let total = |which: usize| {
                all.iter().flat_map(|sums| &sums[own.clone()]).map(|sums| sums[which]).sum::<f64>()
            };
            let mean = total(0) / count;
            let spread = (total(1) / count - mean * mean).max(0.0) + EPS;
            for channel in own.clone() {
                let factor = f64::from(self.weight[channel]) / spread.sqrt();
                scale[channel] = factor as f32;
                shift[channel] = (f64::from(self.bias[channel]) - mean * factor) as f32;
            }
        }
        rows.values.par_chunks_mut(CHUNK * channels).for_each(|values| {
            for row in values.chunks_exact_mut(channels) {
                for ((value, scale), shift) in row.iter_mut().zip(&scale).zip(&shift) {
                    *value = *value * scale + shift;
                }
            }
        });
        rows
    }
}

/// A convolution whose weights sit at points in space (`KPConv`).
#[derive(Clone, Debug)]
pub(super) struct KpConv {
    kernel: Vec<[f32; 3]>,
    sigma: f32,
    input: usize,
    output: usize,
    /// `[kernel * input]` to `[output]`.
    linear: Linear,
}

impl KpConv {
    /// Loads `weights`, `bias` and `kernel_points`. `sigma` is how far a kernel point reaches.
    pub(super) fn load(
        weights: &Weights,
        kernel: usize,
        [input, output]: [usize; 2],
        sigma: f64,
    ) -> Result<Self, WeightsError> {
        let matrix = weights.get("weights", &[kernel, input, output])?;
        let bias = weights.has("bias").then(|| weights.get("bias", &[output])).transpose()?;
        let points = weights.get("kernel_points", &[kernel, 3])?;
        let points: Vec<f32> =
            points.flatten_all().and_then(|all| all.to_vec1()).map_err(WeightsError::Engine)?;
        let linear = matrix
            .permute([2, 0, 1])
            .and_then(|matrix| matrix.to_contiguous()?.reshape((output, kernel * input)))
            .and_then(|matrix| Linear::new(&matrix, bias, weights.precision()))
            .map_err(WeightsError::Engine)?;
        Ok(Self { kernel: points.as_chunks().0.to_vec(), sigma: sigma as f32, input, output, linear })
    }

    /// Of the features of `supports` to those of `queries`.
    pub(super) fn forward(
        &self,
        features: &Rows,
        queries: &[[f32; 3]],
        supports: &[[f32; 3]],
        near: &Near,
    ) -> Result<Rows> {
        // The authors' mean is over neighbours whose features have a sum above zero.
        let counts: Vec<bool> = features
            .values
            .par_chunks(self.input)
            .map(|row| row.iter().map(|value| f64::from(*value)).sum::<f64>() > 0.0)
            .collect();
        let width = self.kernel.len() * self.input;
        let together = (AT_A_TIME / width).max(1);
        let mut values = Vec::with_capacity(queries.len() * self.output);
        let mut out = Vec::new();
        for (queries, near) in queries
            .chunks(together)
            .zip(near.indices.chunks(together * near.width).map(|indices| (indices, near.width)))
        {
            let mut gathered = vec![0.0; queries.len() * width];
            let rows = gathered.par_chunks_mut(width).zip(queries).zip(near.0.par_chunks(near.1));
            rows.for_each(|((out, query), near)| {
                self.gather(out, query, near, supports, features, &counts);
            });
            let gathered = Tensor::from_vec(gathered, (queries.len(), width), &Device::Cpu)?;
            self.linear.forward_into(&gathered, &mut out)?;
            values.extend_from_slice(&out);
        }
        Ok(Rows { values, channels: self.output })
    }

    /// For each kernel point the neighbours' features by how near they are to it, over the number of neighbours.
    fn gather(
        &self,
        out: &mut [f32],
        query: &[f32; 3],
        near: &[u32],
        supports: &[[f32; 3]],
        features: &Rows,
        counts: &[bool],
    ) {
        let mut counted = 0;
        for index in near.iter().take_while(|index| **index != NONE) {
            let at = *index as usize;
            counted += usize::from(counts[at]);
            let from = features.row(at);
            let support = supports[at];
            let place: [f32; 3] = std::array::from_fn(|axis| support[axis] - query[axis]);
            for (kernel, out) in self.kernel.iter().zip(out.chunks_exact_mut(self.input)) {
                let [x, y, z] = std::array::from_fn(|axis| place[axis] - kernel[axis]);
                let weight = 1.0 - (x * x + y * y + z * z).sqrt() / self.sigma;
                if weight > 0.0 {
                    out.iter_mut().zip(from).for_each(|(out, from)| *out += weight * from);
                }
            }
        }
        let share = 1.0 / counted.max(1) as f32;
        out.iter_mut().for_each(|value| *value *= share);
    }
}
