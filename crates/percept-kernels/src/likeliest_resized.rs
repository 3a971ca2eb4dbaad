//! [`likeliest`](crate::likeliest) of planes that are resized first, without the resized planes: 150 classes of 12
//! megapixels would be 7 GB.
//!
//! A task is a strip of a few columns. An input row is resized along the strip once for all output rows between it and
//! the next, and what is mixed of two such rows never leaves the first levels of cache.

use crate::gather::Taps;
use crate::isa::{Isa, isa};
use crate::likeliest::{RUN, likeliest_of};
use crate::resize::{Resize, mix};
use crate::resize_axis::{MAX_TAPS, places_and_weights};
use crate::scratch::Scratch;
use rayon::prelude::*;
use std::ops::Range;

/// Places and weights of one axis, tap by tap.
struct Axis {
    places: Vec<u32>,
    weights: Vec<f32>,
}

impl Axis {
    fn new(resize: &Resize, axis: usize) -> Self {
        let count = resize.filter.taps() * resize.output[axis];
        let (mut places, mut weights) = (vec![0; count], vec![0.0; count]);
        places_and_weights(resize, axis, &mut places, &mut weights);
        Self { places, weights }
    }

    /// Of a part of the outputs.
    fn part(&self, outputs: usize, part: Range<usize>) -> Self {
        let of = |tap: usize| tap * outputs + part.start..tap * outputs + part.end;
        let taps = 0..self.places.len() / outputs;
        Self {
            places: taps.clone().flat_map(|tap| self.places[of(tap)].iter().copied()).collect(),
            weights: taps.flat_map(|tap| self.weights[of(tap)].iter().copied()).collect(),
        }
    }
}

impl Resize {
    /// Some rows of the output: for each pixel which plane of `input[planes, height, width]` is largest there when it is
    /// resized, the first of equals, and that plane's softmax probability. `best` and `probability` are `[wanted,
    /// columns]`. The answers have the bits of [`Resize::apply_rows`] and [`likeliest`](crate::likeliest) one after the other.
    ///
    /// # Panics
    /// As [`Resize::apply_rows`], and if there is no plane.
    pub fn likeliest_rows(
        &self,
        input: &[f32],
        planes: usize,
        wanted: Range<usize>,
        best: &mut [u16],
        probability: &mut [f32],
    ) {
        let [height, width] = self.input;
        let [rows, columns] = self.output;
        assert!(planes > 0, "planes: at least one is wanted");
        assert_eq!(input.len(), planes * height * width, "input: planes x height x width is wanted");
        assert!(wanted.start <= wanted.end && wanted.end <= rows, "rows outside the output");
        assert!(
            best.len() == wanted.len() * columns && probability.len() == best.len(),
            "a place for each pixel is wanted"
        );
        if best.is_empty() {
            return;
        }
        let (down, along) = (Axis::new(self, 0), Axis::new(self, 1));
        let strips = (0..columns).step_by(RUN).map(|first| first..columns.min(first + RUN));
        // Strips of one row lie side by side in the output: each task takes its piece of every row.
        let mut pieces = strips.map(|strip| (strip, Vec::with_capacity(wanted.len()))).collect::<Vec<_>>();
        for row in best.chunks_mut(columns).zip(probability.chunks_mut(columns)) {
            let runs = row.0.chunks_mut(RUN).zip(row.1.chunks_mut(RUN));
            pieces.iter_mut().zip(runs).for_each(|((_, piece), run)| piece.push(run));
        }
        let isa = isa();
        pieces.into_par_iter().for_each(|(strip, mut piece)| {
            let along = along.part(columns, strip.clone());
            let work = Strip { resize: self, isa, input, planes, down: &down };
            work.run(
                &Taps::new(&along.places, &along.weights, strip.len()),
                wanted.start,
                strip.len(),
                &mut piece,
            );
        });
    }
}

/// Some columns of the output.
struct Strip<'a> {
    resize: &'a Resize,
    isa: Isa,
    input: &'a [f32],
    planes: usize,
    down: &'a Axis,
}

impl Strip<'_> {
    fn run(&self, along: &Taps<'_>, first: usize, columns: usize, piece: &mut [(&mut [u16], &mut [f32])]) {
        let [height, width] = self.resize.input;
        let (rows, taps, line) = (self.resize.output[0], self.resize.filter.taps(), self.planes * columns);
        let (mut lines, mut mixed) = (Scratch::floats(MAX_TAPS * line), Scratch::floats(line));
        let (lines, mixed) = (lines.as_floats(), mixed.as_floats());
        // Which input row each line holds. Rows that are wanted together are at most `taps` apart.
        let mut held = [usize::MAX; MAX_TAPS];
        for (y, (best, probability)) in (first..).zip(piece) {
            let (mut weights, mut at) = ([0.0; MAX_TAPS], [0; MAX_TAPS]);
            for tap in 0..taps {
                let row = self.down.places[tap * rows + y] as usize;
                let slot = row % MAX_TAPS;
                if held[slot] != row {
                    let to = lines[slot * line..][..line].chunks_exact_mut(columns);
                    for (plane, to) in self.input.chunks_exact(height * width).zip(to) {
                        along.sum(self.isa, &plane[row * width..][..width], to);
                    }
                    held[slot] = row;
                }
                (at[tap], weights[tap]) = (slot * line, self.down.weights[tap * rows + y]);
            }
            mix(self.isa, taps, lines, at, weights, mixed);
            likeliest_of(self.isa, mixed, columns, best, probability);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{available, with_isa};
    use crate::likeliest;
    use crate::resize::{Alignment, Filter};

    #[test]
    fn the_answers_are_those_of_resized_planes() {
        let planes = 7;
        for (input, output) in
            [([5, 7], [61, 150]), ([9, 40], [9, 40]), ([30, 20], [11, 65]), ([1, 1], [3, 64])]
        {
            let value = |at: usize| ((at * 37) % 101) as f32 * 0.1 - 4.0;
            let values: Vec<f32> = (0..planes * input[0] * input[1]).map(value).collect();
            for filter in [Filter::Nearest, Filter::Bilinear, Filter::Bicubic] {
                let resize = Resize { filter, alignment: Alignment::Edges, input, output };
                let pixels = output[0] * output[1];
                for isa in available() {
                    let (mut best, mut probability) = (vec![0; pixels], vec![0.0; pixels]);
                    with_isa(isa, || {
                        let mut whole = vec![0.0; planes * pixels];
                        resize.apply(&values, planes, &mut whole);
                        likeliest(&whole, &mut best, &mut probability);
                    });
                    for rows in [0..output[0], 1..output[0] - 1, 2..2] {
                        let part = rows.start * output[1]..rows.end * output[1];
                        let (mut found, mut sure) = (vec![9; part.len()], vec![9.0; part.len()]);
                        with_isa(isa, || {
                            resize.likeliest_rows(&values, planes, rows.clone(), &mut found, &mut sure);
                        });
                        assert_eq!(found, best[part.clone()], "{filter:?} {isa:?} {rows:?}");
                        assert_eq!(sure, probability[part], "{filter:?} {isa:?} {rows:?}");
                    }
                }
            }
        }
    }
}
