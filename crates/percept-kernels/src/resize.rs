//! Resizing of feature maps, as `torch.nn.functional.interpolate`: first along rows, then along columns.
//!
//! Each input row is resized once, kept for as long as output rows need it, and mixed with its neighbours.

use std::ops::Range;

use crate::gather::Taps;
use crate::isa::isa;
use crate::math::{mul_add, per_isa};
use crate::parallel::{self, SharedOut};
use crate::resize_axis::{MAX_TAPS, places_and_weights};
use crate::scratch::{Scratch, cast_mut};

/// Output values that one task makes, about.
const PART: usize = 1 << 15;

/// How values between pixels are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// The pixel at `floor(position * step)` (torch's `nearest`); it knows no [`Alignment::Corners`].
    Nearest,
    /// From two pixels in each direction (torch's `bilinear` without antialiasing).
    Bilinear,
    /// From four pixels in each direction, with a = -0.75 (torch's `bicubic` without antialiasing).
    Bicubic,
}

impl Filter {
    /// Pixels in each direction.
    pub(crate) fn taps(self) -> usize {
        match self {
            Self::Nearest => 1,
            Self::Bilinear => 2,
            Self::Bicubic => 4,
        }
    }
}

/// Which point of the input an output pixel stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Alignment {
    /// Pixels are squares, and the edges of both images meet (`align_corners=False`); the step is the ratio of
    /// the sizes.
    Edges,
    /// The same, but the step is 1 / factor whatever the sizes came to: what torch does when it is given a
    /// `scale_factor` (height, width) instead of a size.
    EdgesByFactor([f64; 2]),
    /// Pixels are points, and the corner points meet (`align_corners=True`).
    Corners,
}

/// Resizing of planes from one size to another; sizes are (height, width).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resize {
    /// How values between pixels are found.
    pub filter: Filter,
    /// Which point of the input an output pixel stands for.
    pub alignment: Alignment,
    /// Size of the input.
    pub input: [usize; 2],
    /// Size of the output.
    pub output: [usize; 2],
}

impl Resize {
    /// Resizes `input[planes, height, width]` into `out`.
    ///
    /// # Panics
    /// If a length does not fit, the input has no pixels but the output has, or [`Filter::Nearest`] is to
    /// align corners.
    pub fn apply(&self, input: &[f32], planes: usize, out: &mut [f32]) {
        self.apply_rows(input, planes, 0..self.output[0], out);
    }

    /// Only some rows of the output, into `out[planes, wanted, columns]`: what is made from a large one need not be
    /// in memory at once.
    ///
    /// # Panics
    /// As [`Resize::apply`], and if the output has no such rows.
    pub fn apply_rows(&self, input: &[f32], planes: usize, wanted: Range<usize>, out: &mut [f32]) {
        let [height, width] = self.input;
        let [rows, columns] = self.output;
        assert_eq!(input.len(), planes * height * width, "input: planes x height x width is wanted");
        assert!(wanted.start <= wanted.end && wanted.end <= rows, "rows outside the output");
        assert_eq!(out.len(), planes * wanted.len() * columns, "out: the output's size is wanted");
        if out.is_empty() {
            return;
        }
        let taps = self.filter.taps();
        let mut buffers = [Scratch::floats(taps * rows), Scratch::floats(taps * columns)];
        let mut place_buffers = [Scratch::bytes(4 * taps * rows), Scratch::bytes(4 * taps * columns)];
        for (d, (places, weights)) in place_buffers.iter_mut().zip(&mut buffers).enumerate() {
            places_and_weights(self, d, cast_mut(places), weights.as_floats());
        }
        let [row_weights, column_weights] = buffers.each_mut().map(|buffer| &*buffer.as_floats());
        let [row_places, column_places] = place_buffers.each_mut().map(|bytes| &*cast_mut::<u32>(bytes));
        let along = Taps::new(column_places, column_weights, columns);
        let isa = isa();
        let band = (PART / columns).clamp(1, wanted.len());
        let bands = wanted.len().div_ceil(band);
        let shared = SharedOut::new(out);
        parallel::for_each(planes * bands, planes * wanted.len() * columns * 2 * taps, &|task| {
            let (plane, first) = (task / bands, wanted.start + task % bands * band);
            let from = &input[plane * height * width..][..height * width];
            let mut buffer = Scratch::floats(MAX_TAPS * columns);
            let lines = buffer.as_floats();
            // Which input row each line holds. Rows that are wanted together are at most `taps` apart.
            let mut held = [usize::MAX; MAX_TAPS];
            for y in first..wanted.end.min(first + band) {
                let mut weights = [0.0; MAX_TAPS];
                let mut at = [0; MAX_TAPS];
                for tap in 0..taps {
                    let row = row_places[tap * rows + y] as usize;
                    let slot = row % MAX_TAPS;
                    if held[slot] != row {
                        let line = &mut lines[slot * columns..][..columns];
                        along.sum(isa, &from[row * width..][..width], line);
                        held[slot] = row;
                    }
                    (at[tap], weights[tap]) = (slot * columns, row_weights[tap * rows + y]);
                }
                let line = plane * wanted.len() + y - wanted.start;
                // SAFETY: each row is one task's.
                let out = unsafe { shared.part(line * columns, columns) };
                mix(isa, taps, lines, at, weights, out);
            }
        });
    }

    /// One axis (0: height, 1: width) as a dense matrix `[output, input]`, for devices that have no other way:
    /// the result is `matrix(0) x plane x matrix(1)^T`.
    ///
    /// # Panics
    /// As [`Resize::apply`].
    #[must_use]
    pub fn matrix(&self, axis: usize) -> Vec<f32> {
        let (input, output, taps) = (self.input[axis], self.output[axis], self.filter.taps());
        let (mut places, mut weights) = (vec![0; taps * output], vec![0.0; taps * output]);
        places_and_weights(self, axis, &mut places, &mut weights);
        let mut matrix = vec![0.0; output * input];
        for (index, (place, weight)) in places.iter().zip(weights).enumerate() {
            matrix[index % output * input + *place as usize] += weight;
        }
        matrix
    }
}

per_isa! {
    /// `out` = the sum over taps of `weights[tap]` times the line that begins at `at[tap]`.
    pub(crate) fn mix(taps: usize, lines: &[f32], at: [usize; 4], weights: [f32; 4], out: &mut [f32]) {
        let count = out.len();
        let [a, b, c, d] = at.map(|at| &lines[at..][..count]);
        let [wa, wb, wc, wd] = weights;
        match taps {
            1 => out.copy_from_slice(a),
            2 => {
                for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                    *out = mul_add::<FMA>(wa, *a, wb * b);
                }
            }
            _ => {
                for ((((out, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                    let near = mul_add::<FMA>(wb, *b, wc * c);
                    *out = mul_add::<FMA>(wa, *a, mul_add::<FMA>(wd, *d, near));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_parts_of_the_whole() {
        let (planes, input, output) = (3, [5, 7], [23, 11]);
        let values: Vec<f32> = (0..planes * 35).map(|at| ((at * 37) % 101) as f32).collect();
        for filter in [Filter::Nearest, Filter::Bilinear, Filter::Bicubic] {
            let resize = Resize { filter, alignment: Alignment::Edges, input, output };
            let mut whole = vec![0.0; planes * output[0] * output[1]];
            resize.apply(&values, planes, &mut whole);
            for rows in [0..1, 4..11, 11..23, 9..9] {
                let mut band = vec![0.0; planes * rows.len() * output[1]];
                resize.apply_rows(&values, planes, rows.clone(), &mut band);
                let wanted = whole.chunks(output[0] * output[1]);
                let wanted = wanted.flat_map(|plane| &plane[rows.start * output[1]..rows.end * output[1]]);
                assert!(band.iter().eq(wanted), "{filter:?} {rows:?}");
            }
        }
    }
}
