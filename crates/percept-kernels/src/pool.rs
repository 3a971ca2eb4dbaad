//! Maximum and average pooling of feature maps, as `torch.nn.MaxPool2d` and `torch.nn.AvgPool2d`.
//!
//! The rows of a window are joined first, a whole line at a time; then the columns.

use crate::isa::{Isa, isa};
use crate::math::per_isa;
use crate::parallel::{self, SharedOut};
use crate::scratch::Scratch;

/// What a window becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// Its largest value; NaN if it has one.
    Maximum,
    /// Its mean, with the zeros of the padding counted (`count_include_pad=True`).
    Average,
    /// The mean of those of its values that lie in the input (`count_include_pad=False`).
    AverageInside,
}

/// Whether windows that reach over the end are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LastWindow {
    /// No: only whole windows (`ceil_mode=False`).
    Whole,
    /// Yes, if they begin in the input or its left padding (`ceil_mode=True`).
    Cut,
}

/// The shape of windows and how they step; pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// What a window becomes.
    pub pooling: Pooling,
    /// Size of a window.
    pub kernel: [usize; 2],
    /// Input pixels from one window to the next.
    pub stride: [usize; 2],
    /// Pixels around the input, on each side; at most half the window. They never win a maximum.
    pub padding: [usize; 2],
    /// Whether windows that reach over the end are made.
    pub last: LastWindow,
}

impl Pool {
    /// Height and width of the output for an input of this height and width; 0 where no window fits.
    #[must_use]
    pub fn output(&self, input: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|d| {
            let padded = input[d] + 2 * self.padding[d];
            let Some(room) = padded.checked_sub(self.kernel[d]) else { return 0 };
            match self.last {
                LastWindow::Whole => room / self.stride[d] + 1,
                LastWindow::Cut => {
                    let count = room.div_ceil(self.stride[d]) + 1;
                    let begins_inside = (count - 1) * self.stride[d] < input[d] + self.padding[d];
                    if begins_inside { count } else { count - 1 }
                }
            }
        })
    }

    /// Pools `input[planes, height, width]` into `out`, whose size is that of [`Pool::output`].
    ///
    /// # Panics
    /// If a length does not fit, a kernel size or stride is zero, or the padding is more than half the kernel.
    pub fn apply(&self, input: &[f32], planes: usize, size: [usize; 2], out: &mut [f32]) {
        let positive = [self.kernel, self.stride].as_flattened().iter().all(|size| *size > 0);
        assert!(positive, "kernel and stride: above zero is wanted");
        let narrow = [0, 1].iter().all(|d| 2 * self.padding[*d] <= self.kernel[*d]);
        assert!(narrow, "padding: at most half the kernel is wanted");
        let [rows, columns] = self.output(size);
        let pixels = size[0] * size[1];
        assert_eq!(input.len(), planes * pixels, "input: planes x height x width is wanted");
        assert_eq!(out.len(), planes * rows * columns, "out: the output's size is wanted");
        if out.is_empty() {
            return;
        }
        let isa = isa();
        let cost = planes * rows * (self.kernel[0] * size[1] + self.kernel[1] * columns);
        let band = (8192 / (columns * self.kernel[0])).clamp(1, rows);
        let bands = rows.div_ceil(band);
        let shared = SharedOut::new(out);
        parallel::for_each(planes * bands, cost, &|task| {
            let (plane, first) = (task / bands, task % bands * band);
            let from = &input[plane * pixels..][..pixels];
            // One line with its padding, and as much as the last window may need beyond.
            let padded = (columns - 1) * self.stride[1] + self.kernel[1];
            let mut buffer = Scratch::floats(padded.max(self.padding[1] + size[1]));
            let line = buffer.as_floats();
            for y in first..rows.min(first + band) {
                // SAFETY: each row is one task's.
                let out = unsafe { shared.part((plane * rows + y) * columns, columns) };
                self.row(isa, from, size, y, line, out);
            }
        });
    }

    /// One row of the output; `line` is scratch.
    fn row(&self, isa: Isa, plane: &[f32], size: [usize; 2], y: usize, line: &mut [f32], out: &mut [f32]) {
        let [height, width] = size;
        let (begin, inside) = self.window(0, y, height);
        let rows = &plane[begin * width..(begin + inside) * width];
        let maximum = self.pooling == Pooling::Maximum;
        line.fill(if maximum { f32::NEG_INFINITY } else { 0.0 });
        join_rows(isa, rows, maximum, &mut line[self.padding[1]..][..width]);
        join_columns(isa, line, self.kernel[1], self.stride[1], maximum, out);
        if !maximum {
            let rows = self.counted(0, y, height);
            for (x, value) in out.iter_mut().enumerate() {
                *value /= (rows * self.counted(1, x, width)) as f32;
            }
        }
    }

    /// First pixel of a window along one axis, and how many of its pixels lie in the input.
    fn window(&self, d: usize, at: usize, size: usize) -> (usize, usize) {
        let start = at * self.stride[d];
        let begin = start.saturating_sub(self.padding[d]);
        let end = (start + self.kernel[d]).saturating_sub(self.padding[d]).min(size);
        (begin, end.saturating_sub(begin))
    }

    /// Pixels of a window along one axis that a mean counts; torch cuts a window off behind the padding.
    fn counted(&self, d: usize, at: usize, size: usize) -> usize {
        match self.pooling {
            Pooling::AverageInside => self.window(d, at, size).1,
            _ => self.kernel[d].min(size + 2 * self.padding[d] - at * self.stride[d]),
        }
    }
}

/// The larger one, or what is not a number.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

per_isa! {
    /// Joins whole rows into a line that holds the neutral value.
    fn join_rows(rows: &[f32], maximum: bool, line: &mut [f32]) {
        for row in rows.chunks_exact(line.len().max(1)) {
            if maximum {
                line.iter_mut().zip(row).for_each(|(value, x)| *value = larger(*value, *x));
            } else {
                line.iter_mut().zip(row).for_each(|(value, x)| *value += x);
            }
        }
    }
}

per_isa! {
    /// `out[x]` = the values of `line` from `x * stride` on, `kernel` of them, joined.
    fn join_columns(line: &[f32], kernel: usize, stride: usize, maximum: bool, out: &mut [f32]) {
        for k in 0..kernel {
            let from = &line[k..];
            let join = |(out, x): (&mut f32, &f32)| {
                *out = match (k, maximum) {
                    (0, _) => *x,
                    (_, true) => larger(*out, *x),
                    _ => *out + x,
                };
            };
            // Steps that the compiler knows become vector shuffles.
            match stride {
                1 => out.iter_mut().zip(from).for_each(join),
                2 => out.iter_mut().zip(from.iter().step_by(2)).for_each(join),
                _ => out.iter_mut().zip(from.iter().step_by(stride)).for_each(join),
            }
        }
    }
}
