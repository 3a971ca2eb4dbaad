//! Reading feature maps at given points, as `torch.nn.functional.grid_sample`.
//!
//! Places and weights of a block of points are found once and used for many channels.

use crate::gather::Taps;
use crate::isa::isa;
use crate::math::per_isa;
use crate::parallel::{self, SharedOut};
use crate::scratch::{Scratch, cast_mut};

/// Points that one task takes.
const POINTS: usize = 512;
/// Channels that one task takes, for which finding the places costs little.
const CHANNELS: usize = 32;

/// How a value between pixels is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Between {
    /// The nearest pixel, halves to the even one.
    Nearest,
    /// From the four pixels around it.
    Bilinear,
}

/// What lies around the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outside {
    /// Zeros.
    Zeros,
    /// The nearest pixel of the border.
    Border,
}

/// What -1 and 1 stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// The outer edges of the outermost pixels (`align_corners=False`).
    Edges,
    /// The centres of the outermost pixels (`align_corners=True`).
    Corners,
}

/// Sampling of feature maps at points; sizes are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridSample {
    /// How a value between pixels is found.
    pub between: Between,
    /// What lies around the input.
    pub outside: Outside,
    /// What -1 and 1 stand for.
    pub extent: Extent,
    /// Size of the input.
    pub input: [usize; 2],
}

impl GridSample {
    /// `out[batch, channels, points]` from `input[batch, channels, height, width]` at `grid[batch, points, 2]`,
    /// whose pairs are (x, y), -1 to 1 over the input. A point that is not a number lies at the first pixel
    /// with [`Outside::Border`] and outside otherwise.
    ///
    /// # Panics
    /// If a length does not fit, or there are points but no pixels.
    pub fn apply(&self, input: &[f32], channels: usize, grid: &[f32], batch: usize, out: &mut [f32]) {
        let [height, width] = self.input;
        let pixels = height * width;
        assert_eq!(input.len(), batch * channels * pixels, "input: batch x channels x height x width");
        assert!(grid.len().is_multiple_of((2 * batch).max(1)), "grid: batch x points x 2 is wanted");
        let points = grid.len() / (2 * batch).max(1);
        assert_eq!(out.len(), batch * channels * points, "out: batch x channels x points is wanted");
        if out.is_empty() {
            return;
        }
        assert!(pixels > 0 && i32::try_from(pixels).is_ok(), "input: between 1 and 2^31 pixels are wanted");
        assert!(height.max(width) < 1 << 24, "input: sizes that f32 holds exactly are wanted");
        let (blocks, slices) = (points.div_ceil(POINTS), channels.div_ceil(CHANNELS));
        let isa = isa();
        let taps = if self.between == Between::Nearest { 1 } else { 4 };
        let shared = SharedOut::new(out);
        parallel::for_each(batch * blocks * slices, batch * channels * points * 8, &|task| {
            let (item, block, slice) = (task / (blocks * slices), task / slices % blocks, task % slices);
            let first = block * POINTS;
            let count = POINTS.min(points - first);
            let mut buffers = (Scratch::bytes(4 * taps * count), Scratch::floats(taps * count));
            let (places, weights) = (cast_mut::<u32>(&mut buffers.0), buffers.1.as_floats());
            let grid = &grid[(item * points + first) * 2..][..count * 2];
            match self.between {
                Between::Nearest => nearest(isa, self, grid, places, weights),
                Between::Bilinear => bilinear(isa, self, grid, places, weights),
            }
            let taps = Taps::new(places, weights, count);
            for channel in slice * CHANNELS..channels.min((slice + 1) * CHANNELS) {
                let plane = item * channels + channel;
                // SAFETY: each block of points of a plane is one task's.
                let out = unsafe { shared.part(plane * points + first, count) };
                taps.sum(isa, &input[plane * pixels..][..pixels], out);
            }
        });
    }

    /// From -1 to 1 to pixels, held inside where the border goes on.
    #[inline(always)]
    fn position(&self, at: f32, size: f32) -> f32 {
        let position = match self.extent {
            Extent::Edges => ((at + 1.0) * size - 1.0) / 2.0,
            Extent::Corners => (at + 1.0) / 2.0 * (size - 1.0),
        };
        match self.outside {
            // Also turns what is not a number into zero.
            Outside::Border => position.max(0.0).min(size - 1.0),
            // Far outside is as good as further: integers stay in range.
            Outside::Zeros => position.max(-2.0).min(size + 1.0),
        }
    }
}

/// 1 for a pixel of the input, 0 for one outside.
#[inline(always)]
fn inside(x: f32, y: f32, width: f32, height: f32) -> f32 {
    if x >= 0.0 && x < width && y >= 0.0 && y < height { 1.0 } else { 0.0 }
}

/// The number of a pixel, or of the nearest one for a pixel outside.
#[inline(always)]
fn place(x: f32, y: f32, width: f32, height: f32) -> u32 {
    let column = x.max(0.0).min(width - 1.0) as i32;
    let row = y.max(0.0).min(height - 1.0) as i32;
    (row * width as i32 + column).cast_unsigned()
}

per_isa! {
    fn bilinear(sample: &GridSample, grid: &[f32], places: &mut [u32], weights: &mut [f32]) {
        let [height, width] = sample.input.map(|size| size as f32);
        let count = grid.len() / 2;
        for (i, point) in grid.as_chunks::<2>().0.iter().enumerate() {
            let (x, y) = (sample.position(point[0], width), sample.position(point[1], height));
            let (left, top) = (x.floor(), y.floor());
            let (right_part, bottom_part) = (x - left, y - top);
            for tap in 0..4 {
                let (dx, dy) = ((tap % 2) as f32, (tap / 2) as f32);
                let (column, row) = (left + dx, top + dy);
                let part_x = if tap % 2 == 1 { right_part } else { 1.0 - right_part };
                let part_y = if tap / 2 == 1 { bottom_part } else { 1.0 - bottom_part };
                weights[tap * count + i] = part_x * part_y * inside(column, row, width, height);
                places[tap * count + i] = place(column, row, width, height);
            }
        }
    }
}

per_isa! {
    fn nearest(sample: &GridSample, grid: &[f32], places: &mut [u32], weights: &mut [f32]) {
        let [height, width] = sample.input.map(|size| size as f32);
        let slots = places.iter_mut().zip(weights);
        for ((place_slot, weight), point) in slots.zip(grid.as_chunks::<2>().0) {
            let x = sample.position(point[0], width).round_ties_even();
            let y = sample.position(point[1], height).round_ties_even();
            *weight = inside(x, y, width, height);
            *place_slot = place(x, y, width, height);
        }
    }
}
