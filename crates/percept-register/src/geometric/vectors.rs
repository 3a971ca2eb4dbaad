//! Products of vectors, short and long.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul};

/// The way from one point to another.
pub(crate) fn away(from: &[f32; 3], to: &[f32; 3]) -> [f32; 3] {
    std::array::from_fn(|axis| to[axis] - from[axis])
}

pub(crate) fn dot(left: &[f32; 3], right: &[f32; 3]) -> f32 {
    left[0] * right[0] + left[1] * right[1] + left[2] * right[2]
}

pub(super) fn cross(left: &[f32; 3], right: &[f32; 3]) -> [f32; 3] {
    [
        left[1] * right[2] - left[2] * right[1],
        left[2] * right[0] - left[0] * right[2],
        left[0] * right[1] - left[1] * right[0],
    ]
}

/// The product of two long vectors, in as many sums as the processor makes side by side.
pub(crate) fn long_dot<const SUMS: usize, T>(left: &[T], right: &[T]) -> T
where
    T: Copy + Default + Add<Output = T> + Mul<Output = T> + AddAssign + Sum,
{
    let mut sums = [T::default(); SUMS];
    let (lefts, rights) = (left.chunks_exact(SUMS), right.chunks_exact(SUMS));
    let pairs = lefts.remainder().iter().zip(rights.remainder());
    let rest: T = pairs.map(|(left, right)| *left * *right).sum();
    for (left, right) in lefts.zip(rights) {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            *sum += *left * *right;
        }
    }
    sums.into_iter().sum::<T>() + rest
}
