//! Gathering the inputs of 32 output pixels.

use crate::conv::ConvShape;
use crate::conv_amx::LINES;
use crate::epilogue::COLUMNS;
use crate::isa::Isa;
use crate::math::per_isa;

/// How the input planes of one group of one item are gathered.
pub(crate) struct Gather<'a> {
    pub(crate) shape: &'a ConvShape,
    /// Height and width of the input.
    pub(crate) size: [usize; 2],
    /// Height and width of the output.
    pub(crate) output: [usize; 2],
}

/// Output pixels of a panel that lie in one row of the output.
#[derive(Clone, Copy)]
struct Run {
    /// First column in the panel.
    at: usize,
    count: usize,
    /// Output row and first output column.
    y: usize,
    x: usize,
}

impl Gather<'_> {
    /// Fills `panel[depth][32]` from `[channels of the group, height, width]` for the output pixels from
    /// `first` on; pixels past the last become zero.
    pub(crate) fn panel(&self, isa: Isa, input: &[f32], first: usize, panel: &mut [f32]) {
        let pixels = self.output[0] * self.output[1];
        let count = COLUMNS.min(pixels - first);
        if count < COLUMNS {
            panel.fill(0.0);
        }
        for run in self.runs(first, count) {
            fill(isa, self, [input], run, panel);
        }
    }

    /// The same for numbers in parts, each with planes of its own: groups of 16 lines of one part, then of
    /// the next. Pixels past the last keep what the panel holds.
    pub(crate) fn split_panel(&self, isa: Isa, parts: [&[f32]; 2], first: usize, panel: &mut [f32]) {
        let pixels = self.output[0] * self.output[1];
        for run in self.runs(first, COLUMNS.min(pixels - first)) {
            fill_parts(isa, self, parts, run, panel);
        }
    }

    /// `count` output pixels from `first` on, by rows of the output.
    fn runs(&self, first: usize, count: usize) -> impl Iterator<Item = Run> + use<> {
        let width = self.output[1];
        let mut at = 0;
        std::iter::from_fn(move || {
            let (y, x) = ((first + at) / width, (first + at) % width);
            let run = Run { at, count: (width - x).min(count - at), y, x };
            at += run.count;
            (run.count > 0).then_some(run)
        })
    }
}

per_isa! {
    /// Fills the columns of one run in all lines of a panel.
    fn fill(from: &Gather<'_>, inputs: [&[f32]; 1], run: Run, panel: &mut [f32]) {
        fill_lines(from, inputs, run, panel);
    }
}

per_isa! {
    /// The same for two parts.
    fn fill_parts(from: &Gather<'_>, inputs: [&[f32]; 2], run: Run, panel: &mut [f32]) {
        fill_lines(from, inputs, run, panel);
    }
}

#[inline(always)]
fn fill_lines<const N: usize>(from: &Gather<'_>, inputs: [&[f32]; N], run: Run, panel: &mut [f32]) {
    let ConvShape { kernel, stride, padding, dilation, .. } = *from.shape;
    let [height, width] = from.size;
    let plane = height * width;
    if plane == 0 {
        return;
    }
    let mut line = 0;
    for start in (0..inputs[0].len()).step_by(plane) {
        for ky in 0..kernel[0] {
            let y = (run.y * stride[0] + ky * dilation[0]).wrapping_sub(padding[0]);
            for kx in 0..kernel[1] {
                // The input column of the run's first pixel may lie left of the row.
                let x = (run.x * stride[1] + kx * dilation[1]).cast_signed() - padding[1].cast_signed();
                for (part, input) in inputs.iter().enumerate() {
                    let at = ((line / LINES * N + part) * LINES + line % LINES) * COLUMNS + run.at;
                    let to = &mut panel[at..at + run.count];
                    if y < height {
                        copy(&input[start + y * width..][..width], x, stride[1], to);
                    } else {
                        to.fill(0.0);
                    }
                }
                line += 1;
            }
        }
    }
}

/// `to[i] = row[x + i * step]`, zero outside the row.
#[inline(always)]
fn copy(row: &[f32], x: isize, step: usize, to: &mut [f32]) {
    let last = x + ((to.len() - 1) * step).cast_signed();
    if x < 0 || last >= row.len().cast_signed() {
        // Pixels left of the row, in it, and right of it.
        let left = x.min(0).unsigned_abs().div_ceil(step).min(to.len());
        let first = (x + (left * step).cast_signed()).cast_unsigned();
        let inside = row.len().saturating_sub(first).div_ceil(step).min(to.len() - left);
        to[..left].fill(0.0);
        to[left + inside..].fill(0.0);
        let from = row[first.min(row.len())..].iter().step_by(step);
        to[left..left + inside].iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        return;
    }
    let from = &row[x.cast_unsigned()..];
    // Whole lines of the usual steps are copied as vectors.
    if let Ok(to) = <&mut [f32; COLUMNS]>::try_from(&mut *to) {
        if let (1, Some(from)) = (step, from.first_chunk::<COLUMNS>()) {
            *to = *from;
            return;
        }
        if let (2, Some(from)) = (step, from.first_chunk::<{ 2 * COLUMNS - 1 }>()) {
            *to = std::array::from_fn(|i| from[2 * i]);
            return;
        }
    }
    to.iter_mut().zip(from.iter().step_by(step)).for_each(|(to, from)| *to = *from);
}
