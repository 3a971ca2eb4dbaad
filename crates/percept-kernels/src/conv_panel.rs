//! Gathering the inputs of 32 output pixels.

use crate::conv::ConvShape;
use crate::epilogue::COLUMNS;
use crate::isa::Isa;
use crate::math::per_isa;

/// One group's input planes of one item.
pub(crate) struct Gather<'a> {
    pub(crate) shape: &'a ConvShape,
    /// Height and width of the input.
    pub(crate) size: [usize; 2],
    /// Height and width of the output.
    pub(crate) output: [usize; 2],
    /// `[channels of the group, height, width]`.
    pub(crate) input: &'a [f32],
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
    /// Fills `panel[depth][32]` for the output pixels from `first` on; pixels past the last become zero.
    pub(crate) fn panel(&self, isa: Isa, first: usize, panel: &mut [f32]) {
        let pixels = self.output[0] * self.output[1];
        let count = COLUMNS.min(pixels - first);
        if count < COLUMNS {
            panel.fill(0.0);
        }
        let mut at = 0;
        while at < count {
            let (y, x) = ((first + at) / self.output[1], (first + at) % self.output[1]);
            let run = Run { at, count: (self.output[1] - x).min(count - at), y, x };
            fill(isa, self, run, panel);
            at += run.count;
        }
    }
}

per_isa! {
    /// Fills the columns of one run in all lines of a panel.
    fn fill(from: &Gather<'_>, run: Run, panel: &mut [f32]) {
        let ConvShape { kernel, stride, padding, dilation, .. } = *from.shape;
        let [height, width] = from.size;
        let mut lines = panel.chunks_exact_mut(COLUMNS);
        for plane in from.input.chunks_exact(height * width) {
            for ky in 0..kernel[0] {
                let y = (run.y * stride[0] + ky * dilation[0]).wrapping_sub(padding[0]);
                let row = if y < height { &plane[y * width..(y + 1) * width] } else { &[] };
                for kx in 0..kernel[1] {
                    let Some(line) = lines.next() else { return };
                    let to = &mut line[run.at..run.at + run.count];
                    // The input column of the run's first pixel may lie left of the row.
                    let x = (run.x * stride[1] + kx * dilation[1]).cast_signed() - padding[1].cast_signed();
                    copy(row, x, stride[1], to);
                }
            }
        }
    }
}

/// `to[i] = row[x + i * step]`, zero outside the row.
#[inline(always)]
fn copy(row: &[f32], x: isize, step: usize, to: &mut [f32]) {
    let last = x + ((to.len() - 1) * step).cast_signed();
    let inside = x >= 0 && last < row.len().cast_signed();
    if inside && step == 1 {
        let from = &row[x.cast_unsigned()..][..to.len()];
        match (<&mut [f32; COLUMNS]>::try_from(&mut *to), <&[f32; COLUMNS]>::try_from(from)) {
            (Ok(to), Ok(from)) => *to = *from,
            _ => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
        }
    } else if inside {
        let from = row[x.cast_unsigned()..].iter().step_by(step);
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    } else {
        for (i, to) in to.iter_mut().enumerate() {
            let at = (x + (i * step).cast_signed()).cast_unsigned();
            *to = if at < row.len() { row[at] } else { 0.0 };
        }
    }
}
