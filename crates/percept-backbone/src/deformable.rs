//! Multi-scale deformable attention of Deformable DETR, RT-DETR, D-FINE and Mask2Former, without its projections.

use candle_core::{DType, Tensor};
use percept_kernels::{Between, DeformableAttention, Extent, Outside, PointSampling};

use crate::cpu::{Engine, run_kernel};
use crate::grid_sample::{GridSampling, read_pixels, read_planes};
use crate::{Result, ToContiguous};

/// The feature maps that [`deformable_attention`] reads, and how.
#[derive(Clone, Copy, Debug)]
pub struct FeaturePoints<'a> {
    /// Height and width of each feature map.
    pub levels: &'a [[usize; 2]],
    /// Points that each query reads of each feature map; D-FINE's counts differ.
    pub points: &'a [usize],
    /// How a map is read at a point.
    pub sampling: PointSampling,
}

/// Sums of values at points: `[batch, queries, heads * dim]`.
///
/// - `value` `[batch, pixels of all levels, heads, dim]`
/// - `locations` `[batch, queries, heads, points of all levels, 2]`: (x, y), 0 to 1 over each level's map
/// - `weights` `[batch, queries, heads, points of all levels]`, after the softmax
///
/// Not on the processor it is composed of candle's gathers.
pub fn deformable_attention(
    value: &Tensor,
    locations: &Tensor,
    weights: &Tensor,
    from: FeaturePoints<'_>,
) -> Result<Tensor> {
    deformable_attention_on(value, locations, weights, from, Engine::of(value.device()))
}

pub(crate) fn deformable_attention_on(
    value: &Tensor,
    locations: &Tensor,
    weights: &Tensor,
    from: FeaturePoints<'_>,
    engine: Engine,
) -> Result<Tensor> {
    let FeaturePoints { levels, points, sampling } = from;
    let (batch, pixels, heads, dim) = value.dims4()?;
    let (_, queries, _, total) = weights.dims4()?;
    let fits = weights.dims() == [batch, queries, heads, total]
        && locations.dims() == [batch, queries, heads, total, 2]
        && levels.len() == points.len()
        && points.iter().sum::<usize>() == total
        && levels.iter().map(|[height, width]| height * width).sum::<usize>() == pixels
        && levels.iter().zip(points).all(|(size, points)| size[0] * size[1] > 0 || *points == 0);
    if !fits {
        let shapes = [value, locations, weights].map(Tensor::dims);
        candle_core::bail!("deformable attention: {shapes:?} do not fit {levels:?} with {points:?} points");
    }
    if engine == Engine::Candle {
        return composed(value, locations, weights, from);
    }
    run_kernel("deformable-attention", [value, locations, weights], |operands| {
        let attention = DeformableAttention { heads, dim, levels, points, sampling };
        let mut out = vec![0.0; batch * queries * heads * dim];
        attention.apply(operands[0].0, operands[1].0, operands[2].0, batch, &mut out);
        Ok((out, (batch, queries, heads * dim).into()))
    })
}

/// The same by candle's operations, as the reference implementation goes about it.
fn composed(value: &Tensor, locations: &Tensor, weights: &Tensor, from: FeaturePoints<'_>) -> Result<Tensor> {
    let (batch, pixels, heads, dim) = value.dims4()?;
    let (_, queries, _, total) = weights.dims4()?;
    let rows = batch * heads;
    let value = value.permute((0, 2, 3, 1))?.to_contiguous()?.reshape((rows, dim, pixels))?;
    let locations = locations.transpose(1, 2)?.to_contiguous()?.reshape((rows, queries, total, 2))?;
    let weights = weights.transpose(1, 2)?.to_contiguous()?.reshape((rows, 1, queries, total))?;
    let (mut base, mut point) = (0, 0);
    let mut read = Vec::new();
    for (&[height, width], points) in from.levels.iter().zip(from.points) {
        let plane = value.narrow(2, base, height * width)?;
        let at =
            locations.narrow(2, point, *points)?.to_contiguous()?.reshape((rows, queries * points, 2))?;
        (base, point) = (base + height * width, point + points);
        if *points == 0 {
            continue;
        }
        let values = match from.sampling {
            PointSampling::Bilinear => {
                let (between, outside, extent) = (Between::Bilinear, Outside::Zeros, Extent::Edges);
                let sampling = GridSampling { between, outside, extent };
                read_planes(&plane, [height, width], &((at * 2.0)? - 1.0)?, sampling)?
            }
            PointSampling::Discrete => {
                let axis = |d: usize, size: usize| {
                    let at = ((at.narrow(2, d, 1)?.squeeze(2)? * size as f64)? + 0.5)?;
                    at.floor()?.clamp(0.0, size as f64 - 1.0)?.to_dtype(DType::I64)
                };
                let place = ((axis(1, height)? * width as f64)? + axis(0, width)?)?;
                read_pixels(&plane, &place.to_dtype(DType::U32)?)?
            }
        };
        read.push(values.reshape((rows, dim, queries, *points))?);
    }
    let sums = Tensor::cat(&read, 3)?.broadcast_mul(&weights)?.sum(3)?;
    sums.reshape((batch, heads * dim, queries))?.transpose(1, 2)?.to_contiguous()
}
