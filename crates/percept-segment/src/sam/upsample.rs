//! Mask logits in low resolution to masks of the picture, without ever having a plane of the picture's size.
//!
//! Bilinear resizing is linear along each axis, so the published two steps (to the canvas, cut, to the picture) are one
//! product with sparse rows on each side. Columns of the result are made one by one and are run-length encoded at once.

use percept_backbone::image_processor::Canvas;
use percept_backbone::{Alignment, Filter, resize_matrix};
use percept_core::segment::Mask;

use super::config::Family;

/// Resizes logits of one side to pictures of one size, which may be a crop of a larger one.
#[derive(Debug)]
pub(crate) struct Upsampler {
    rows: Axis,
    columns: Axis,
    /// Side of the logits.
    side: usize,
    /// Left and top of the crop.
    corner: [usize; 2],
    /// Columns and rows of the whole picture.
    whole: [usize; 2],
}

/// What each output place is made of.
#[derive(Debug)]
struct Axis {
    /// The first input place, and where its weights end in `weights`.
    places: Vec<(usize, usize)>,
    weights: Vec<f32>,
}

/// A mask at the size of the picture.
#[derive(Clone, Debug)]
pub(crate) struct Upsampled {
    pub(crate) mask: Mask,
    /// Pixels above the cut-off plus the offset, as a part of those above the cut-off minus it; 0 where there are none.
    pub(crate) stability: f32,
}

impl Upsampler {
    /// For logits `[side, side]` of a picture on its canvas, which is the rectangle from `corner` of a picture of `whole`
    /// columns and rows.
    pub(crate) fn new(
        canvas: &Canvas,
        family: Family,
        side: usize,
        corner: [usize; 2],
        whole: [usize; 2],
    ) -> Self {
        let axis = |on_canvas: u32, resized: u32, picture: u32| match family {
            Family::Sam => Axis::composed(side, on_canvas as usize, resized as usize, picture as usize),
            // Pictures fill the canvas: the published code goes to the picture at once.
            Family::Sam2 => Axis::of(&bilinear(side, picture as usize), side),
        };
        let Canvas { original, resized, size, .. } = *canvas;
        let (rows, columns) = (axis(size.1, resized.1, original.1), axis(size.0, resized.0, original.0));
        Self { rows, columns, side, corner, whole }
    }

    /// Of logits `[side, side]`, cut off at 0; `offset` is how far the cut-off moves to see how stable the mask is.
    pub(crate) fn mask(&self, logits: &[f32], offset: f32) -> Upsampled {
        let (side, height) = (self.side, self.rows.places.len());
        let mut most = vec![f32::NEG_INFINITY; side];
        for row in logits.chunks_exact(side) {
            most.iter_mut().zip(row).for_each(|(most, value)| *most = most.max(*value));
        }
        // An average of values below the lowest cut-off stays below it.
        let is_below = |first: usize, weights: &[f32]| {
            most[first..][..weights.len()].iter().all(|most| *most <= -offset)
        };
        let mut needed = vec![false; side];
        for x in 0..self.columns.places.len() {
            let (first, weights) = self.columns.taps(x);
            if !is_below(first, weights) {
                needed[first..][..weights.len()].fill(true);
            }
        }
        // Column by column of the logits, resized down the picture.
        let mut tall = vec![0.0_f32; side * height];
        let mut column = vec![0.0; side];
        for (x, tall) in tall.chunks_exact_mut(height.max(1)).enumerate().filter(|(x, _)| needed[*x]) {
            column.iter_mut().zip(logits.chunks_exact(side)).for_each(|(value, row)| *value = row[x]);
            for (y, value) in tall.iter_mut().enumerate() {
                let (first, weights) = self.rows.taps(y);
                *value = weights.iter().zip(&column[first..]).map(|(weight, value)| weight * value).sum();
            }
        }
        let mut runs = Runs::default();
        let [left, top] = self.corner;
        let [whole_width, whole_height] = self.whole;
        runs.outside(left * whole_height);
        let (mut above, mut below) = (0_usize, 0_usize);
        let mut line = vec![0.0_f32; height];
        for x in 0..self.columns.places.len() {
            let (first, weights) = self.columns.taps(x);
            runs.outside(top);
            if is_below(first, weights) {
                runs.outside(height);
            } else {
                line.fill(0.0);
                for (weight, tall) in weights.iter().zip(tall[first * height..].chunks_exact(height)) {
                    line.iter_mut().zip(tall).for_each(|(sum, value)| *sum += weight * value);
                }
                above += line.iter().filter(|value| **value > offset).count();
                below += line.iter().filter(|value| **value > -offset).count();
                runs.line(&line);
            }
            runs.outside(whole_height - top - height);
        }
        runs.outside(whole_height * (whole_width - left - self.columns.places.len()));
        let stability = if below == 0 { 0.0 } else { above as f32 / below as f32 };
        Upsampled { mask: Mask::from_runs(whole_width as u32, whole_height as u32, runs.inside), stability }
    }

    /// Resized logits of the picture, row by row: for tests.
    #[cfg(test)]
    pub(crate) fn plane(&self, logits: &[f32]) -> Vec<f32> {
        let mut plane = Vec::new();
        for y in 0..self.rows.places.len() {
            let (top, down) = self.rows.taps(y);
            for x in 0..self.columns.places.len() {
                let (left, across) = self.columns.taps(x);
                let row = |row: usize| {
                    across
                        .iter()
                        .enumerate()
                        .map(|(i, w)| w * logits[row * self.side + left + i])
                        .sum::<f32>()
                };
                plane.push(down.iter().enumerate().map(|(i, w)| w * row(top + i)).sum());
            }
        }
        plane
    }
}

impl Axis {
    /// To the canvas, cut, to the picture.
    fn composed(side: usize, canvas: usize, resized: usize, picture: usize) -> Self {
        let to_canvas = bilinear(side, canvas);
        let to_picture = bilinear(resized, picture);
        let mut matrix = vec![0.0; picture * side];
        for (out, row) in matrix.chunks_exact_mut(side).zip(to_picture.chunks_exact(resized)) {
            for (at, weight) in row.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
                let from = &to_canvas[at * side..][..side];
                out.iter_mut().zip(from).for_each(|(out, value)| *out += weight * value);
            }
        }
        Self::of(&matrix, side)
    }

    /// Of a matrix `[output, input]` whose rows are zero but for a few places next to each other.
    fn of(matrix: &[f32], input: usize) -> Self {
        let (mut places, mut weights) = (Vec::new(), Vec::new());
        for row in matrix.chunks_exact(input) {
            let first = row.iter().position(|weight| *weight != 0.0).unwrap_or(0);
            let end = row.iter().rposition(|weight| *weight != 0.0).map_or(first, |last| last + 1);
            weights.extend(&row[first..end]);
            places.push((first, weights.len()));
        }
        Self { places, weights }
    }

    /// The first input place of an output place, and the weights of it and those that follow.
    fn taps(&self, place: usize) -> (usize, &[f32]) {
        let (first, end) = self.places[place];
        let start = if place == 0 { 0 } else { self.places[place - 1].1 };
        (first, &self.weights[start..end])
    }
}

fn bilinear(input: usize, output: usize) -> Vec<f32> {
    resize_matrix(input, output, Filter::Bilinear, Alignment::Edges)
}

/// Runs of a mask as they are found.
#[derive(Default)]
struct Runs {
    inside: Vec<(u64, u64)>,
    at: u64,
}

impl Runs {
    fn outside(&mut self, count: usize) {
        self.at += count as u64;
    }

    /// Values of a column; above 0 is inside.
    fn line(&mut self, values: &[f32]) {
        let mut rest = values;
        while let Some(first) = rest.first() {
            let inside = *first > 0.0;
            let run = rest.iter().position(|value| (*value > 0.0) != inside).unwrap_or(rest.len());
            if inside {
                self.inside.push((self.at, self.at + run as u64));
            }
            self.at += run as u64;
            rest = &rest[run..];
        }
    }
}
