//! Deformable attention with its projections.

use candle_core::Tensor;
use percept_kernels::PointSampling;

use crate::Result;
use crate::deformable::{FeaturePoints, deformable_attention};
use crate::linear::Linear;
use crate::weights::{Weights, WeightsError};

/// Multi-scale deformable attention (Zhu et al. 2021, "Deformable DETR", arXiv 2010.04159): every query reads a few
/// points of each of several maps, near a point of its own. The tensors are `value_proj`, `sampling_offsets`,
/// `attention_weights` and `output_proj`, as everywhere in transformers.
#[derive(Clone, Debug)]
pub struct MultiScaleAttention {
    offsets: Linear,
    weights: Linear,
    value: Linear,
    output: Linear,
    heads: usize,
    /// Points that each head reads of each map.
    points: usize,
}

impl MultiScaleAttention {
    /// Loads an attention over `dim` channels in `heads` heads that reads `points` points of each of `levels` maps.
    ///
    /// # Errors
    /// If a tensor is missing or of another shape, or the channels do not divide into the heads.
    pub fn load(
        weights: &Weights,
        dim: usize,
        heads: usize,
        [levels, points]: [usize; 2],
    ) -> Result<Self, WeightsError> {
        if heads == 0 || !dim.is_multiple_of(heads) {
            return Err(WeightsError::Format(format!("{dim} channels do not divide into {heads} heads")));
        }
        let read = heads * levels * points;
        Ok(Self {
            offsets: Linear::load(&weights.at("sampling_offsets"), dim, 2 * read)?,
            weights: Linear::load(&weights.at("attention_weights"), dim, read)?,
            value: Linear::load(&weights.at("value_proj"), dim, dim)?,
            output: Linear::load(&weights.at("output_proj"), dim, dim)?,
            heads,
            points,
        })
    }

    /// Of `queries` `[batch, queries, dim]` at points `[batch or 1, queries, 2]` (x and y, 0 to 1 over every map) or boxes
    /// `[batch or 1, queries, 4]` (centre, width and height; points read are as far away as the box is large), over
    /// `memory` `[batch, pixels of all maps, dim]`, added to `residual` in the shape of the queries. `levels` are rows and
    /// columns of the maps.
    pub fn forward_onto(
        &self,
        queries: &Tensor,
        at: &Tensor,
        memory: &Tensor,
        levels: &[[usize; 2]],
        residual: &Tensor,
    ) -> Result<Tensor> {
        let (batch, count, dim) = queries.dims3()?;
        let total = levels.len() * self.points;
        let value = self.value.forward(memory)?.reshape((batch, (), self.heads, dim / self.heads))?;
        let offsets = self.offsets.forward(queries)?.reshape((batch, count, self.heads, total, 2))?;
        let at = at.unsqueeze(2)?.unsqueeze(2)?;
        let offsets = if at.dim(4)? == 4 {
            // Offsets are in halves of the box, shared among the points.
            offsets.broadcast_mul(&(at.narrow(4, 2, 2)? * (0.5 / self.points as f64))?)?
        } else {
            // Offsets are in pixels of each map.
            let pixel = |[rows, columns]: &[usize; 2]| [1.0 / *columns as f32, 1.0 / *rows as f32];
            let pixels = levels.iter().flat_map(|size| std::iter::repeat_n(pixel(size), self.points));
            let pixels = Tensor::from_vec(pixels.flatten().collect(), (1, 1, 1, total, 2), queries.device())?;
            offsets.broadcast_mul(&pixels)?
        };
        let locations = offsets.broadcast_add(&at.narrow(4, 0, 2)?)?;
        let weights = self.weights.forward(queries)?.reshape((batch, count, self.heads, total))?;
        let weights = candle_nn::ops::softmax_last_dim(&weights)?;
        let points = vec![self.points; levels.len()];
        let from = FeaturePoints { levels, points: &points, sampling: PointSampling::Bilinear };
        let read = deformable_attention(&value, &locations, &weights, from)?;
        self.output.forward_onto(&read, residual)
    }
}
