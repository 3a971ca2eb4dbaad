//! Which answer meets which truth, in one image and one class: `COCOeval.evaluateImg`.

use super::THRESHOLDS;
use super::descending;
use super::overlap::Overlap;
use super::read::Object;

/// The answers and truths of one image and one class, with how alike they are.
pub(super) struct Group<'a> {
    truths: Vec<&'a Object>,
    /// The best by score.
    found: Vec<&'a Object>,
    /// A row an answer, a column a truth.
    overlaps: Vec<f64>,
    ignored: Vec<bool>,
}

/// What became of the answers, for one range of sizes.
pub(super) struct Matched {
    /// Best first.
    pub(super) scores: Vec<f64>,
    /// Whether an answer met a truth, a row a threshold.
    pub(super) met: Vec<bool>,
    /// Whether it counts neither for nor against, likewise.
    pub(super) ignored: Vec<bool>,
    /// Truths that count.
    pub(super) truths: usize,
}

impl<'a> Group<'a> {
    pub(super) fn new(
        truths: Vec<&'a Object>,
        mut found: Vec<&'a Object>,
        most: usize,
        overlap: &Overlap<'_>,
    ) -> Self {
        found.sort_by(|a, b| descending(a.score, b.score));
        found.truncate(most);
        let overlaps =
            found.iter().flat_map(|found| truths.iter().map(|truth| overlap.of(found, truth))).collect();
        let ignored = truths.iter().map(|truth| overlap.ignores(truth)).collect();
        Self { truths, found, overlaps, ignored }
    }

    /// Greedily, best answer first, each to the most alike truth that is free; crowds are always free. Truths that are
    /// ignored come last: an answer takes one only where no other is alike enough.
    pub(super) fn matched(&self, [low, high]: [f64; 2], thresholds: &[f64; THRESHOLDS]) -> Matched {
        let outside = |object: &Object| object.area < low || object.area > high;
        let ignored: Vec<bool> = self
            .truths
            .iter()
            .zip(&self.ignored)
            .map(|(truth, ignored)| *ignored || outside(truth))
            .collect();
        let mut order: Vec<usize> = (0..self.truths.len()).collect();
        order.sort_by_key(|truth| ignored[*truth]);
        let count = self.found.len();
        let mut matched = Matched {
            scores: self.found.iter().map(|found| found.score).collect(),
            met: vec![false; THRESHOLDS * count],
            ignored: vec![false; THRESHOLDS * count],
            truths: ignored.iter().filter(|ignored| !**ignored).count(),
        };
        for (row, threshold) in thresholds.iter().enumerate() {
            let mut taken = vec![false; self.truths.len()];
            for (at, found) in self.found.iter().enumerate() {
                let cell = row * count + at;
                let best = self.best(at, *threshold, &order, &taken, &ignored);
                if let Some(best) = best {
                    taken[best] = true;
                    // pycocotools keeps ids, and takes 0 for none.
                    matched.met[cell] = self.truths[best].id != 0;
                    matched.ignored[cell] = ignored[best];
                }
                matched.ignored[cell] |= !matched.met[cell] && outside(found);
            }
        }
        matched
    }

    fn best(
        &self,
        found: usize,
        threshold: f64,
        order: &[usize],
        taken: &[bool],
        ignored: &[bool],
    ) -> Option<usize> {
        let mut least = threshold.min(1.0 - 1e-10);
        let mut best: Option<usize> = None;
        for &truth in order {
            if taken[truth] && !self.truths[truth].crowd {
                continue;
            }
            if best.is_some_and(|best| !ignored[best]) && ignored[truth] {
                break;
            }
            let overlap = self.overlaps[found * self.truths.len() + truth];
            if overlap >= least {
                (least, best) = (overlap, Some(truth));
            }
        }
        best
    }
}
