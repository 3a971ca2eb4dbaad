//! Multi-scale deformable attention (Zhu et al. 2020): each query reads a few points of each feature map.
//!
//! The value of a head is a short row of numbers at each pixel, so a point costs four of those rows; their places
//! and weights are found for a head first, then the rows are added up in registers.

use crate::isa::isa;
use crate::math::{mul_add, per_isa};
use crate::parallel::{self, SharedOut};
use crate::scratch::{Scratch, cast_mut};

/// Queries that one task takes.
const QUERIES: usize = 8;
/// Channels that are added up in registers.
const LANES: usize = 32;

/// How a feature map is read at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PointSampling {
    /// From the four pixels around it, with zeros outside (`grid_sample` without `align_corners`).
    Bilinear,
    /// The pixel that it lies in, or the nearest one (RT-DETRv2's `discrete`).
    Discrete,
}

/// Multi-scale deformable attention, without its projections and softmax.
#[derive(Clone, Copy, Debug)]
pub struct DeformableAttention<'a> {
    /// Heads.
    pub heads: usize,
    /// Values of a head at a pixel.
    pub dim: usize,
    /// Height and width of each feature map.
    pub levels: &'a [[usize; 2]],
    /// Points that each query reads of each feature map.
    pub points: &'a [usize],
    /// How a feature map is read at a point.
    pub sampling: PointSampling,
}

impl DeformableAttention<'_> {
    /// `out[batch, queries, heads * dim]`: for each head the sum of the values at its points, times their
    /// weights.
    ///
    /// - `value[batch, pixels of all levels, heads, dim]`
    /// - `locations[batch, queries, heads, points of all levels, 2]`: (x, y), 0 to 1 over each level's map
    /// - `weights[batch, queries, heads, points of all levels]`, after the softmax
    ///
    /// # Panics
    /// If a length does not fit, `points` has not one number per level, or a level with points has no pixels.
    pub fn apply(&self, value: &[f32], locations: &[f32], weights: &[f32], batch: usize, out: &mut [f32]) {
        let Self { heads, dim, levels, points, .. } = *self;
        assert_eq!(points.len(), levels.len(), "points: one count per level is wanted");
        let empty = levels.iter().zip(points).any(|(size, points)| size[0] * size[1] == 0 && *points > 0);
        assert!(!empty, "levels: one with points needs pixels");
        let pixels = levels.iter().map(|[height, width]| height * width).sum::<usize>();
        let total = points.iter().sum::<usize>();
        let width = heads * dim;
        assert_eq!(value.len(), batch * pixels * width, "value: batch x pixels x heads x dim is wanted");
        assert!(out.len().is_multiple_of((batch * width).max(1)), "out: batch x queries x heads x dim");
        let queries = out.len() / (batch * width).max(1);
        assert_eq!(weights.len(), batch * queries * heads * total, "weights: one per point is wanted");
        assert_eq!(locations.len(), 2 * weights.len(), "locations: a pair per point is wanted");
        if out.is_empty() {
            return;
        }
        assert!(i32::try_from(pixels).is_ok(), "value: fewer than 2^31 pixels are wanted");
        let taps = if self.sampling == PointSampling::Discrete { 1 } else { 4 };
        let isa = isa();
        let blocks = queries.div_ceil(QUERIES);
        let shared = SharedOut::new(out);
        parallel::for_each(batch * blocks, batch * queries * width * total * taps, &|task| {
            let (item, first) = (task / blocks, task % blocks * QUERIES);
            let mut buffers = (Scratch::bytes(4 * taps * total), Scratch::floats(taps * total));
            let (places, factors) = (cast_mut::<u32>(&mut buffers.0), buffers.1.as_floats());
            let value = &value[item * pixels * width..][..pixels * width];
            for query in first..queries.min(first + QUERIES) {
                let row = item * queries + query;
                // SAFETY: each query is one task's.
                let out = unsafe { shared.part(row * width, width) };
                for (head, out) in out.chunks_exact_mut(dim).enumerate() {
                    let at = (row * heads + head) * total;
                    let (locations, weights) = (&locations[2 * at..][..2 * total], &weights[at..][..total]);
                    find(isa, self, locations, weights, places, factors);
                    add_up(isa, &value[head * dim..], width, places, factors, out);
                }
            }
        });
    }
}

per_isa! {
    /// Pixels (over all levels) and weights of one head's points; tap by tap within a level.
    fn find(
        attention: &DeformableAttention<'_>,
        locations: &[f32],
        weights: &[f32],
        places: &mut [u32],
        factors: &mut [f32],
    ) {
        let (mut base, mut point, mut slot) = (0_usize, 0, 0);
        for (size, points) in attention.levels.iter().zip(attention.points) {
            let [height, width] = size.map(|size| size as f32);
            let points = point..point + points;
            point = points.end;
            let pairs = &locations.as_chunks::<2>().0[points.clone()];
            for ([x, y], weight) in pairs.iter().zip(&weights[points]) {
                match attention.sampling {
                    PointSampling::Discrete => {
                        // Casts cut towards zero and stop at the ends of their range, as wanted here.
                        let column = ((x * width + 0.5) as i32).clamp(0, width as i32 - 1);
                        let row = ((y * height + 0.5) as i32).clamp(0, height as i32 - 1);
                        places[slot] = (base as i32 + row * width as i32 + column).cast_unsigned();
                        factors[slot] = *weight;
                        slot += 1;
                    }
                    PointSampling::Bilinear => {
                        // Far outside is as good as further: integers stay in range.
                        let x = mul_add::<FMA>(*x, width, -0.5).max(-2.0).min(width + 1.0);
                        let y = mul_add::<FMA>(*y, height, -0.5).max(-2.0).min(height + 1.0);
                        let (left, top) = (x.floor(), y.floor());
                        let (right_part, bottom_part) = (x - left, y - top);
                        let places = &mut places[slot..slot + 4];
                        let factors = &mut factors[slot..slot + 4];
                        for tap in 0..4 {
                            let (column, row) = (left + (tap % 2) as f32, top + (tap / 2) as f32);
                            let part_x = if tap % 2 == 1 { right_part } else { 1.0 - right_part };
                            let part_y = if tap / 2 == 1 { bottom_part } else { 1.0 - bottom_part };
                            let inside = column >= 0.0 && column < width && row >= 0.0 && row < height;
                            factors[tap] = if inside { part_x * part_y * weight } else { 0.0 };
                            let column = column.max(0.0).min(width - 1.0) as i32;
                            let row = row.max(0.0).min(height - 1.0) as i32;
                            places[tap] = (base as i32 + row * width as i32 + column).cast_unsigned();
                        }
                        slot += 4;
                    }
                }
            }
            base += size[0] * size[1];
        }
    }
}

per_isa! {
    /// `out` = the sum of `factor * row`, rows being `width` apart from pixel to pixel.
    fn add_up(value: &[f32], width: usize, places: &[u32], factors: &[f32], out: &mut [f32]) {
        let dim = out.len();
        let (blocks, rest) = out.as_chunks_mut::<LANES>();
        for (block, out) in blocks.iter_mut().enumerate() {
            let mut sums = [0.0; LANES];
            for (place, factor) in places.iter().zip(factors) {
                let at = *place as usize * width + block * LANES;
                let row = &value[at..at + LANES];
                for (sum, x) in sums.iter_mut().zip(row) {
                    *sum = mul_add::<FMA>(*factor, *x, *sum);
                }
            }
            *out = sums;
        }
        rest.fill(0.0);
        if !rest.is_empty() {
            for (place, factor) in places.iter().zip(factors) {
                let at = *place as usize * width + dim - rest.len();
                for (sum, x) in rest.iter_mut().zip(&value[at..]) {
                    *sum = mul_add::<FMA>(*factor, *x, *sum);
                }
            }
        }
    }
}
