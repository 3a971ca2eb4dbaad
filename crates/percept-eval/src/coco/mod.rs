//! Boxes and keypoints as COCO scores them: a translation of `COCOeval` of pycocotools 2.0.11
//! (<https://github.com/ppwwyyxx/cocoapi>), whose numbers these are, with its peculiarities:
//!
//! - Detections are taken by score, stably; the best 100 of an image and a class (20 for keypoints) count.
//! - What matches a crowd, or a truth outside a range of sizes, counts neither for nor against.
//! - An annotation whose `id` is 0 never counts as found; a report's notes say so.

mod accumulate;
mod matching;
mod overlap;
mod read;
mod report;

pub use read::{Results, Truth};
pub use report::{ClassReport, Report};

use std::cmp::Ordering;

use accumulate::accumulate;
use overlap::Overlap;
use percept_core::{Error, Result};

/// COCO's standard deviations of the 17 keypoints of people, as shares of the square root of a person's area.
pub const COCO_SIGMAS: [f64; 17] = [
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087,
    0.089, 0.089,
];

/// Sizes of objects, by area in square pixels; both ends belong to it.
pub(crate) const ALL: [f64; 2] = [0.0, 1e10];
pub(crate) const SMALL: [f64; 2] = [0.0, 1024.0];
pub(crate) const MEDIUM: [f64; 2] = [1024.0, 9216.0];
pub(crate) const LARGE: [f64; 2] = [9216.0, 1e10];

/// Thresholds of IoU or OKS: 0.5, 0.55, to 0.95.
pub(crate) const THRESHOLDS: usize = 10;

/// Thresholds of recall: 0, 0.01, to 1.
pub(crate) const RECALLS: usize = 101;

/// numpy's `linspace(0.5, 0.95, 10)` to the bit: a pair at the very threshold has to fall on the same side.
pub(crate) fn thresholds() -> [f64; THRESHOLDS] {
    let step = (0.95 - 0.5) / 9.0;
    std::array::from_fn(|at| if at + 1 == THRESHOLDS { 0.95 } else { at as f64 * step + 0.5 })
}

/// The order of scores, best first; 0 and -0 are equal, unlike in a total order.
pub(crate) fn descending(a: f64, b: f64) -> Ordering {
    b.partial_cmp(&a).unwrap_or(Ordering::Equal)
}

/// What the boxes of `results` are worth: `COCOeval(iouType="bbox")`.
///
/// # Errors
/// [`Error::Argument`]: truth or results lack boxes.
pub fn boxes(truth: &Truth, results: &Results) -> Result<Report> {
    let curves = accumulate(truth, results, &Overlap::Boxes, &[ALL, SMALL, MEDIUM, LARGE], &[1, 10, 100])?;
    Ok(report::boxes(truth, results, &curves))
}

/// What the keypoints of `results` are worth: `COCOeval(iouType="keypoints")`. `sigmas` is one a keypoint, such as
/// [`COCO_SIGMAS`].
///
/// # Errors
/// [`Error::Argument`]: truth or results lack keypoints, or have another number of them than there are sigmas.
pub fn keypoints(truth: &Truth, results: &Results, sigmas: &[f64]) -> Result<Report> {
    if sigmas.iter().any(|sigma| !sigma.is_finite() || *sigma <= 0.0) {
        return Err(Error::argument("sigmas are larger than 0"));
    }
    let curves = accumulate(truth, results, &Overlap::Keypoints(sigmas), &[ALL, MEDIUM, LARGE], &[20])?;
    Ok(report::keypoints(truth, results, &curves))
}

#[cfg(test)]
mod golden;
