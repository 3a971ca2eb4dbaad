//! How well outlines meet: `db_eval_boundary` of the DAVIS benchmark (Perazzi et al. 2016, section 5.1;
//! `davis2017-evaluation`, `metrics.py`).

use std::collections::BTreeSet;

use super::IndexPicture;

/// How far pixels of outlines may be from each other, as a share of the picture's diagonal.
const TOLERANCE: f64 = 0.008;

/// F of the outline of each class that is in truth or result. What the truth ignores is of no class in both.
pub(super) fn scores(truth: &IndexPicture, result: &IndexPicture, ignored: &[u16]) -> Vec<(u16, f64)> {
    let counts: Vec<bool> = truth.values.iter().map(|value| !ignored.contains(value)).collect();
    let counted = |picture: &'_ IndexPicture| -> BTreeSet<u16> {
        let mut last = None;
        let values =
            picture.values.iter().zip(&counts).filter(|(_, counts)| **counts).map(|(value, _)| *value);
        values.filter(|value| last.replace(*value) != Some(*value)).collect()
    };
    let classes: BTreeSet<u16> = counted(truth).union(&counted(result)).copied().collect();
    let (width, height) = (truth.width as usize, truth.height as usize);
    let radius = (TOLERANCE * ((width * width + height * height) as f64).sqrt()).ceil() as usize;
    let outline = |picture: &IndexPicture, class: u16| {
        let inside: Vec<bool> =
            picture.values.iter().zip(&counts).map(|(value, counts)| *counts && *value == class).collect();
        Outline::new(&inside, width, height)
    };
    classes
        .into_iter()
        .map(|class| (class, outline(truth, class).met_by(&outline(result, class), radius)))
        .collect()
}

/// The pixels of an outline.
struct Outline {
    width: usize,
    height: usize,
    pixels: Vec<bool>,
}

impl Outline {
    /// `seg2bmap`: pixels that differ from the one to the right, below, or both; in the last column from the one below, in
    /// the last row from the one to the right, and none in the corner.
    fn new(inside: &[bool], width: usize, height: usize) -> Self {
        let mut pixels = vec![false; inside.len()];
        for y in 0..height {
            for x in 0..width {
                let at = y * width + x;
                let here = inside[at];
                let (right, below) = (x + 1 < width, y + 1 < height);
                pixels[at] = right && inside[at + 1] != here
                    || below && inside[at + width] != here
                    || right && below && inside[at + width + 1] != here;
            }
        }
        Self { width, height, pixels }
    }

    fn len(&self) -> usize {
        self.pixels.iter().filter(|pixel| **pixel).count()
    }

    /// All pixels within a radius.
    fn dilated(&self, radius: usize) -> Vec<bool> {
        let mut near = vec![false; self.pixels.len()];
        let reach: Vec<usize> = (0..=radius).map(|dy| (radius * radius - dy * dy).isqrt()).collect();
        for at in (0..self.pixels.len()).filter(|at| self.pixels[*at]) {
            let (x, y) = (at % self.width, at / self.width);
            for row in y.saturating_sub(radius)..(y + radius + 1).min(self.height) {
                let reach = reach[row.abs_diff(y)];
                let (left, right) = (x.saturating_sub(reach), (x + reach + 1).min(self.width));
                near[row * self.width..][left..right].fill(true);
            }
        }
        near
    }

    /// The harmonic mean of the share of `found` that is near to this outline, and of this that is near to `found`.
    fn met_by(&self, found: &Self, radius: usize) -> f64 {
        let (ours, theirs) = (self.len(), found.len());
        if ours == 0 || theirs == 0 {
            return if ours == theirs { 1.0 } else { 0.0 };
        }
        let met = |outline: &Self, near: &[bool]| {
            outline.pixels.iter().zip(near).filter(|(pixel, near)| **pixel && **near).count() as f64
        };
        let precision = met(found, &self.dilated(radius)) / theirs as f64;
        let recall = met(self, &found.dilated(radius)) / ours as f64;
        if precision + recall == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) }
    }
}
