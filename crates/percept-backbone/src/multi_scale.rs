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
    /// Of values and of what is read; D-FINE has neither.
    matrices: Option<(Linear, Linear)>,
    heads: usize,
    /// Points that each head reads of each map.
    points: Vec<usize>,
    sampling: PointSampling,
    unit: Offsets,
}

/// What offsets are counted in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Offsets {
    /// Pixels of each map.
    Pixels,
    /// This part of the width and height of a box, divided by the number of points of the map (RT-DETR, D-FINE, RF-DETR).
    OfBoxes(f64),
}

/// What differs between multi-scale attentions. It has no default: each of them changes results.
#[derive(Clone, Copy, Debug)]
pub struct MultiScaleShape<'a> {
    /// Channels.
    pub dim: usize,
    /// Heads.
    pub heads: usize,
    /// Points that each head reads of each map.
    pub points: &'a [usize],
    /// How a map is read at a point.
    pub sampling: PointSampling,
    /// What offsets are counted in.
    pub unit: Offsets,
    /// Whether there are `value_proj` and `output_proj`.
    pub projected: bool,
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
        let (sampling, unit) = (PointSampling::Bilinear, Offsets::Pixels);
        let points = &vec![points; levels];
        Self::load_shaped(weights, MultiScaleShape { dim, heads, points, sampling, unit, projected: true })
    }

    /// Loads an attention of that shape.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_shaped(weights: &Weights, shape: MultiScaleShape<'_>) -> Result<Self, WeightsError> {
        let MultiScaleShape { dim, heads, points, sampling, unit, projected } = shape;
        if heads == 0 || !dim.is_multiple_of(heads) {
            return Err(WeightsError::Format(format!("{dim} channels do not divide into {heads} heads")));
        }
        let total = points.iter().sum::<usize>();
        let mut offsets = Linear::load(&weights.at("sampling_offsets"), dim, 2 * heads * total)?;
        if let Offsets::OfBoxes(part) = unit {
            let of_level = |count: &usize| std::iter::repeat_n((part / *count as f64) as f32, 2 * count);
            let factors = points.iter().flat_map(of_level).collect::<Vec<_>>().repeat(heads);
            offsets = Tensor::from_vec(factors, 2 * heads * total, weights.device())
                .and_then(|factors| offsets.scaled_by(&factors))
                .map_err(WeightsError::Engine)?;
        }
        let square = |name| Linear::load(&weights.at(name), dim, dim);
        Ok(Self {
            offsets,
            weights: Linear::load(&weights.at("attention_weights"), dim, heads * total)?,
            matrices: projected
                .then(|| Ok::<_, WeightsError>((square("value_proj")?, square("output_proj")?)))
                .transpose()?,
            heads,
            points: points.to_vec(),
            sampling,
            unit,
        })
    }

    /// Of `queries` `[batch, queries, dim]` at points `[batch or 1, queries, 2]` (x and y, 0 to 1 over every map) or, where
    /// offsets are parts of boxes, in boxes `[batch or 1, queries, 4]` (centre, width and height), over `memory` `[batch,
    /// pixels of all maps, dim]`, added to `residual` in the shape of the queries. `levels` are rows and columns of the
    /// maps.
    pub fn forward_onto(
        &self,
        queries: &Tensor,
        at: &Tensor,
        memory: &Tensor,
        levels: &[[usize; 2]],
        residual: &Tensor,
    ) -> Result<Tensor> {
        let read = self.read(queries, at, memory, levels)?;
        match &self.matrices {
            Some((_, output)) => output.forward_onto(&read, residual),
            None => read + residual,
        }
    }

    /// The same before the output matrix, and without a residual.
    pub fn read(
        &self,
        queries: &Tensor,
        at: &Tensor,
        memory: &Tensor,
        levels: &[[usize; 2]],
    ) -> Result<Tensor> {
        let (batch, count, dim) = queries.dims3()?;
        let total = self.points.iter().sum::<usize>();
        if levels.len() != self.points.len() {
            candle_core::bail!("{} maps, and points for {}", levels.len(), self.points.len());
        }
        let value = match &self.matrices {
            Some((value, _)) => value.forward(memory)?,
            None => memory.clone(),
        };
        let value = value.reshape((batch, (), self.heads, dim / self.heads))?;
        let offsets = self.offsets.forward(queries)?.reshape((batch, count, self.heads, total, 2))?;
        let at = at.unsqueeze(2)?.unsqueeze(2)?;
        let locations = match self.unit {
            Offsets::Pixels => {
                let pixel = |[rows, columns]: &[usize; 2]| [1.0 / *columns as f32, 1.0 / *rows as f32];
                let pixels = levels.iter().zip(&self.points);
                let pixels = pixels.flat_map(|(size, points)| std::iter::repeat_n(pixel(size), *points));
                let pixels =
                    Tensor::from_vec(pixels.flatten().collect(), (1, 1, 1, total, 2), queries.device())?;
                offsets.broadcast_mul(&pixels)?.broadcast_add(&at)?
            }
            Offsets::OfBoxes(_) => {
                offsets.broadcast_mul(&at.narrow(4, 2, 2)?)?.broadcast_add(&at.narrow(4, 0, 2)?)?
            }
        };
        let weights = self.weights.forward(queries)?.reshape((batch, count, self.heads, total))?;
        let weights = candle_nn::ops::softmax_last_dim(&weights)?;
        let from = FeaturePoints { levels, points: &self.points, sampling: self.sampling };
        deformable_attention(&value, &locations, &weights, from)
    }
}
