//! Copies of arrays whose elements lie in another order than their dimensions.

use crate::epilogue::COLUMNS;
use crate::isa::{Isa, isa};
use crate::math::per_isa;
use crate::parallel::{self, SharedOut};
use crate::scratch::{Scratch, filled};

/// Numbers that a task copies, about.
const TASK: usize = 1 << 14;
/// Rows of a block that is transposed; a block and what it is read from stay in the first-level cache.
const DEPTH: usize = 64;

/// The elements of an array of `dims` in the order of its dimensions, where those of `from` lie `strides` apart.
///
/// # Panics
/// If the lists differ in length or `from` is too short.
#[must_use]
pub fn strided(from: &[f32], dims: &[usize], strides: &[usize]) -> Vec<f32> {
    assert_eq!(dims.len(), strides.len(), "a stride for each dimension");
    let length: usize = dims.iter().product();
    if length == 0 {
        return Vec::new();
    }
    let reach: usize = dims.iter().zip(strides).map(|(dim, stride)| (dim - 1) * stride).sum();
    assert!(reach < from.len(), "the array reaches beyond its values");
    let axes = merged(dims, strides);
    // SAFETY: the tasks below write each element of the output once.
    unsafe { filled(length, |out| copy(from, &axes, &SharedOut::new(out), length)) }
}

/// One dimension: its size, and how far apart its elements lie in the source and in the copy.
#[derive(Clone, Copy, Debug)]
struct Axis {
    size: usize,
    from: usize,
    to: usize,
}

/// The axes without those of size 1, neighbours joined that lie behind each other in the source too.
fn merged(dims: &[usize], strides: &[usize]) -> Vec<Axis> {
    let mut axes: Vec<Axis> = Vec::new();
    let mut to = 1;
    for (&size, &from) in dims.iter().zip(strides).rev().filter(|(size, _)| **size > 1) {
        match axes.last_mut() {
            Some(inner) if inner.from * inner.size == from => inner.size *= size,
            _ => axes.push(Axis { size, from, to }),
        }
        to *= size;
    }
    axes.reverse();
    axes
}

fn copy(from: &[f32], axes: &[Axis], out: &SharedOut<'_>, length: usize) {
    let Some((&last, others)) = axes.split_last() else {
        return rows(from, &[], Axis { size: 1, from: 1, to: 1 }, out, length);
    };
    let near = others.iter().position(|axis| axis.from == 1);
    match near {
        Some(near) if last.from != 1 => {
            let mut others = others.to_vec();
            let near = others.remove(near);
            transposed(from, &others, near, last, out, length);
        }
        _ => rows(from, others, last, out, length),
    }
}

/// Rows of the copy one after the other.
fn rows(from: &[f32], others: &[Axis], row: Axis, out: &SharedOut<'_>, length: usize) {
    let count = length / row.size;
    let together = (TASK / row.size).clamp(1, count);
    parallel::for_each(count.div_ceil(together), length, &|task| {
        let rows = task * together..count.min((task + 1) * together);
        // SAFETY: each row of the copy is one task's.
        let to = unsafe { out.part(rows.start * row.size, rows.len() * row.size) };
        for (number, to) in rows.zip(to.chunks_exact_mut(row.size)) {
            let (start, _) = place(others, number);
            if row.from == 1 {
                to.copy_from_slice(&from[start..start + row.size]);
            } else {
                let spread = from[start..].iter().step_by(row.from.max(1));
                match row.from {
                    0 => to.fill(from[start]),
                    _ => to.iter_mut().zip(spread).for_each(|(to, from)| *to = *from),
                }
            }
        }
    });
}

/// Blocks of the two axes that are innermost in the source (`near`) and in the copy (`last`).
fn transposed(from: &[f32], others: &[Axis], near: Axis, last: Axis, out: &SharedOut<'_>, length: usize) {
    let isa = isa();
    let planes = length / (near.size * last.size);
    let (down, across) = (near.size.div_ceil(DEPTH), last.size.div_ceil(COLUMNS));
    let block = |plane: usize, y: usize, x: usize| {
        let (source, target) = place(others, plane);
        let depth = DEPTH.min(near.size - y);
        let count = COLUMNS.min(last.size - x);
        let mut buffer = Scratch::floats(DEPTH * COLUMNS);
        let panel = &mut buffer.as_floats()[..depth * COLUMNS];
        transpose_block(isa, &from[source + y + x * last.from..], last.from, count, panel);
        for (row, line) in panel.chunks_exact(COLUMNS).enumerate() {
            // SAFETY: each block of the copy is one task's.
            let to = unsafe { out.part(target + (y + row) * near.to + x * last.to, count) };
            to.copy_from_slice(&line[..count]);
        }
    };
    // Neighbours in a row of the copy belong to one task.
    let together = (TASK / (DEPTH * COLUMNS)).clamp(1, across);
    let pieces = across.div_ceil(together);
    parallel::for_each(planes * down * pieces, length, &|task| {
        let (plane, rest) = (task / (down * pieces), task % (down * pieces));
        let (y, piece) = (rest / pieces * DEPTH, rest % pieces);
        for x in piece * together..across.min((piece + 1) * together) {
            block(plane, y, x * COLUMNS);
        }
    });
}

fn transpose_block(isa: Isa, from: &[f32], stride: usize, count: usize, panel: &mut [f32]) {
    // A source of equal numbers in a row has no rows to take.
    if stride == 0 {
        for (line, value) in panel.chunks_exact_mut(COLUMNS).zip(from) {
            line.fill(*value);
        }
    } else {
        transpose(isa, from, stride, count, panel);
    }
}

per_isa! {
    /// `panel[d][32]` from up to 32 rows `stride` apart; columns without a row become zero.
    pub(crate) fn transpose(from: &[f32], stride: usize, count: usize, panel: &mut [f32]) {
        let dim = panel.len() / COLUMNS;
        if count < COLUMNS {
            panel.fill(0.0);
        }
        for c in 0..count {
            let row = &from[c * stride..c * stride + dim];
            for (line, value) in panel.chunks_exact_mut(COLUMNS).zip(row) {
                line[c] = *value;
            }
        }
    }
}

/// Where element `number` of the axes lies in the source and in the copy.
fn place(axes: &[Axis], mut number: usize) -> (usize, usize) {
    let mut at = (0, 0);
    for axis in axes.iter().rev() {
        let index = number % axis.size;
        number /= axis.size;
        at = (at.0 + index * axis.from, at.1 + index * axis.to);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_by_one(from: &[f32], dims: &[usize], strides: &[usize]) -> Vec<f32> {
        (0..dims.iter().product::<usize>())
            .map(|mut number| {
                let mut at = 0;
                for (dim, stride) in dims.iter().zip(strides).rev() {
                    at += number % dim * stride;
                    number /= dim;
                }
                from[at]
            })
            .collect()
    }

    #[test]
    fn every_order_is_that_of_the_dimensions() {
        let cases: [(&[usize], &[usize]); 12] = [
            (&[], &[]),
            (&[1], &[7]),
            (&[5], &[3]),
            (&[4, 0, 3], &[0, 3, 1]),
            (&[70, 33], &[1, 70]),
            (&[2, 65, 40, 3], &[7800, 1, 195, 65]),
            (&[3, 4, 5, 6], &[120, 6, 24, 1]),
            (&[6, 100], &[1, 0]),
            (&[6, 100], &[0, 0]),
            (&[6, 100], &[0, 1]),
            (&[2, 31, 129, 2], &[15996, 258, 2, 1]),
            (&[9, 17, 5], &[5, 45, 2]),
        ];
        for (dims, strides) in cases {
            let reach: usize = dims.iter().zip(strides).map(|(d, s)| d.saturating_sub(1) * s).sum();
            let from: Vec<f32> = (0..=reach).map(|i| i as f32).collect();
            for isa in crate::available() {
                let copied = crate::with_isa(isa, || strided(&from, dims, strides));
                assert_eq!(copied, one_by_one(&from, dims, strides), "{dims:?} {strides:?} {isa:?}");
            }
        }
    }

    #[test]
    fn large_arrays_are_copied_by_several_threads() {
        let dims = [3, 200, 300];
        let from: Vec<f32> = (0..dims.iter().product::<usize>()).map(|i| i as f32).collect();
        for strides in [[1, 3, 600], [60000, 1, 200], [300, 900, 1]] {
            assert_eq!(strided(&from, &dims, &strides), one_by_one(&from, &dims, &strides), "{strides:?}");
        }
    }

    #[test]
    #[should_panic(expected = "beyond its values")]
    fn what_is_missing_is_refused() {
        let _ = strided(&[0.0; 5], &[2, 3], &[3, 1]);
    }
}
