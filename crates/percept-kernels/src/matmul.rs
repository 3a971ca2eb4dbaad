//! What all packed weights have in common, and two of them in a row.

use crate::epilogue::Epilogue;
use crate::isa::{isa, with_isa};
use crate::parallel::{self, SharedOut};
use crate::scratch::{Scratch, filled};

/// Only this crate's products are known to write all of their output: nobody else can name this.
pub trait Sealed {}

/// A packed weight `[channels, depth]`, whatever its number format.
pub trait Matmul: Sealed + Send + Sync {
    /// Output channels.
    fn channels(&self) -> usize;

    /// Input channels.
    fn depth(&self) -> usize;

    /// `out[m, channels] = epilogue(input[m, depth] x weight^T)`, for any m.
    ///
    /// # Panics
    /// If a length does not fit.
    fn matmul(&self, input: &[f32], out: &mut [f32], epilogue: &Epilogue<'_>);

    /// Whether a row's outputs have the same bits on this machine whatever rows are multiplied with it. Where they have
    /// not, a few rows are summed up in another order than many, and outputs differ by that rounding.
    fn rows_are_independent(&self) -> bool;

    /// [`Matmul::matmul`] into a new array.
    ///
    /// # Panics
    /// If a length does not fit, or the residual is the output itself.
    fn forward(&self, input: &[f32], epilogue: &Epilogue<'_>) -> Vec<f32> {
        epilogue.check_new();
        let length = input.len().checked_div(self.depth()).unwrap_or(0) * self.channels();
        // SAFETY: a product writes every number of its output, and reads it only for a residual in place.
        unsafe { filled(length, |out| self.matmul(input, out, epilogue)) }
    }
}

/// Bytes of hidden numbers that stay in a second-level cache.
const HIDDEN_BYTES: usize = 768 << 10;

/// `down(up(input))`, each with its epilogue: the MLP of a Transformer. With many rows, a block of them goes
/// through both layers at a time, so that what is hidden between them never leaves the cache.
///
/// # Panics
/// If a length does not fit, or a residual is an output itself.
pub fn mlp(
    (up, up_epilogue): (&dyn Matmul, &Epilogue<'_>),
    (down, down_epilogue): (&dyn Matmul, &Epilogue<'_>),
    input: &[f32],
) -> Vec<f32> {
    up_epilogue.check_new();
    down_epilogue.check_new();
    assert_eq!(up.channels(), down.depth(), "the second layer takes what the first one gives");
    let (depth, hidden, channels) = (up.depth(), up.channels(), down.channels());
    let rows = input.len().checked_div(depth).unwrap_or(0);
    assert_eq!(rows * depth, input.len(), "input: whole rows of {depth} are wanted");
    let block = (HIDDEN_BYTES / (4 * hidden.max(1))).next_multiple_of(32).clamp(32, 256);
    let write = |out: &mut [f32]| {
        if rows < 4 * block * parallel::threads() {
            let mut scratch = Scratch::floats(rows * hidden);
            up.matmul(input, scratch.as_floats(), up_epilogue);
            return down.matmul(scratch.as_floats(), out, down_epilogue);
        }
        let isa = isa();
        let shared = SharedOut::new(out);
        parallel::for_each(rows.div_ceil(block), rows * hidden * (depth + channels), &|task| {
            let rows = task * block..((task + 1) * block).min(rows);
            let part = |width: usize| rows.start * width..rows.end * width;
            let mut scratch = Scratch::floats(rows.len() * hidden);
            // SAFETY: each row belongs to one task.
            let out = unsafe { shared.part(rows.start * channels, rows.len() * channels) };
            with_isa(isa, || {
                parallel::serially(|| {
                    up.matmul(&input[part(depth)], scratch.as_floats(), &up_epilogue.rows(part(hidden)));
                    down.matmul(scratch.as_floats(), out, &down_epilogue.rows(part(channels)));
                });
            });
        });
    };
    // SAFETY: both layers write every number of their outputs, and read them only for a residual in place.
    unsafe { filled(rows * channels, write) }
}
