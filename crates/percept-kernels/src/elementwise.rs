//! Operations on each element, and the division of plain arrays among threads.

use crate::math::per_isa;
use crate::parallel::{self, SharedOut};

/// Elements that one task takes: small enough to stay in the first-level cache between two passes.
const PART: usize = 4096;

/// Calls `work(offset, part)` for consecutive parts of `values`; `cost` in multiply-adds per element.
pub(crate) fn for_parts(values: &mut [f32], cost: usize, work: &(dyn Fn(usize, &mut [f32]) + Sync)) {
    let length = values.len();
    let shared = SharedOut::new(values);
    parallel::for_each(length.div_ceil(PART), length * cost, &|task| {
        let offset = task * PART;
        // SAFETY: tasks take different parts.
        work(offset, unsafe { shared.part(offset, PART.min(length - offset)) });
    });
}

/// `values += other`.
///
/// # Panics
/// If the lengths differ.
pub fn add(values: &mut [f32], other: &[f32]) {
    assert_eq!(values.len(), other.len(), "both arrays need one length");
    let isa = crate::isa::isa();
    for_parts(values, 1, &|offset, part| add_part(isa, part, &other[offset..offset + part.len()]));
}

per_isa! {
    fn add_part(values: &mut [f32], other: &[f32]) {
        for (value, other) in values.iter_mut().zip(other) {
            *value += other;
        }
    }
}

/// `values *= other`.
///
/// # Panics
/// If the lengths differ.
pub fn multiply(values: &mut [f32], other: &[f32]) {
    assert_eq!(values.len(), other.len(), "both arrays need one length");
    let isa = crate::isa::isa();
    for_parts(values, 1, &|offset, part| multiply_part(isa, part, &other[offset..offset + part.len()]));
}

per_isa! {
    fn multiply_part(values: &mut [f32], other: &[f32]) {
        for (value, other) in values.iter_mut().zip(other) {
            *value *= other;
        }
    }
}
