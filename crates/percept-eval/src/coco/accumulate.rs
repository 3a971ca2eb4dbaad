//! Precision over recall from all images: `COCOeval.evaluate` and `COCOeval.accumulate`.

use std::collections::{BTreeMap, HashMap};

use percept_core::Result;

use super::matching::{Group, Matched};
use super::overlap::Overlap;
use super::read::{Object, Results, Truth};
use super::{RECALLS, THRESHOLDS, descending, thresholds};

/// What is left of a class, a range of sizes and a number of answers an image; `None` where no truth counts.
pub(super) struct Curve {
    /// A row a threshold: precision at each recall.
    pub(super) precision: Vec<f64>,
    /// At each threshold, the share of truths that were found.
    pub(super) recall: [f64; THRESHOLDS],
}

/// All curves.
pub(super) struct Curves {
    /// By class, range and number of answers.
    curves: Vec<Option<Curve>>,
    pub(super) classes: usize,
    ranges: usize,
    counts: usize,
}

impl Curves {
    /// The curve of a class, of a range and a number of answers by their places in the lists.
    pub(super) fn at(&self, class: usize, range: usize, count: usize) -> Option<&Curve> {
        self.curves[(class * self.ranges + range) * self.counts + count].as_ref()
    }

    /// Those of all classes.
    pub(super) fn of_all(&self, range: usize, count: usize) -> impl Iterator<Item = &Curve> {
        (0..self.classes).filter_map(move |class| self.at(class, range, count))
    }
}

/// `most`: how many answers of an image count, ascending.
pub(super) fn accumulate(
    truth: &Truth,
    results: &Results,
    overlap: &Overlap<'_>,
    ranges: &[[f64; 2]],
    most: &[usize],
) -> Result<Curves> {
    // By class, then by image.
    let mut groups: HashMap<i64, BTreeMap<i64, [Vec<&Object>; 2]>> = HashMap::new();
    for (objects, side, what) in [(&truth.objects, 0, "annotation"), (&results.objects, 1, "result")] {
        for object in objects {
            overlap.check(object, what)?;
            groups.entry(object.class).or_default().entry(object.image).or_default()[side].push(object);
        }
    }
    let (thresholds, largest) = (thresholds(), most.iter().copied().max().unwrap_or(0));
    let mut curves = Vec::new();
    for (class, _) in &truth.classes {
        let of_class = groups.remove(class).unwrap_or_default().into_values();
        let of_class: Vec<Group<'_>> =
            of_class.map(|[truths, found]| Group::new(truths, found, largest, overlap)).collect();
        for range in ranges {
            let matched: Vec<Matched> =
                of_class.iter().map(|group| group.matched(*range, &thresholds)).collect();
            curves.extend(most.iter().map(|most| curve(&matched, *most)));
        }
    }
    Ok(Curves { curves, classes: truth.classes.len(), ranges: ranges.len(), counts: most.len() })
}

fn curve(images: &[Matched], most: usize) -> Option<Curve> {
    let truths: usize = images.iter().map(|image| image.truths).sum();
    if truths == 0 {
        return None;
    }
    // Images by id, answers by score: a stable sort has the order of pycocotools where scores are equal.
    let mut answers: Vec<(usize, usize)> = images
        .iter()
        .enumerate()
        .flat_map(|(image, matched)| (0..matched.scores.len().min(most)).map(move |at| (image, at)))
        .collect();
    let score = |(image, at): (usize, usize)| images[image].scores[at];
    answers.sort_by(|a, b| descending(score(*a), score(*b)));
    let mut curve = Curve { precision: vec![0.0; THRESHOLDS * RECALLS], recall: [0.0; THRESHOLDS] };
    for row in 0..THRESHOLDS {
        let (mut met, mut wrong) = (0.0, 0.0);
        let (mut recall, mut precision) = (Vec::new(), Vec::new());
        for &(image, at) in &answers {
            let matched = &images[image];
            let cell = row * matched.scores.len() + at;
            if !matched.ignored[cell] {
                if matched.met[cell] { met += 1.0 } else { wrong += 1.0 }
            }
            recall.push(met / truths as f64);
            precision.push(met / (wrong + met + f64::EPSILON));
        }
        // No precision is less than one at a higher recall.
        for at in (1..precision.len()).rev() {
            precision[at - 1] = precision[at - 1].max(precision[at]);
        }
        curve.recall[row] = recall.last().copied().unwrap_or(0.0);
        for (level, slot) in curve.precision[row * RECALLS..][..RECALLS].iter_mut().enumerate() {
            // numpy's `linspace(0, 1, 101)`.
            let wanted = if level + 1 == RECALLS { 1.0 } else { level as f64 * 0.01 };
            let at = recall.partition_point(|recall| *recall < wanted);
            *slot = precision.get(at).copied().unwrap_or(0.0);
        }
    }
    Some(curve)
}
