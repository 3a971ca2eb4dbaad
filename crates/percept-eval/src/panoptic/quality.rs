//! The sums that panoptic quality is made of.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::segments::{Segment, Segments, VOID};

/// What is counted of one class.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Intersection over union, summed over what was found.
    pub(super) overlap: f64,
    pub(super) found: u64,
    pub(super) missed: u64,
    pub(super) wrong: u64,
}

impl Counts {
    /// PQ, SQ and RQ; none where the class is in neither truth nor results.
    pub(super) fn qualities(&self) -> Option<[f64; 3]> {
        let all = self.found as f64 + 0.5 * (self.missed + self.wrong) as f64;
        let mean = if self.found == 0 { 0.0 } else { self.overlap / self.found as f64 };
        (all > 0.0).then(|| [self.overlap / all, mean, self.found as f64 / all])
    }
}

/// Adds one picture to the counts of its classes. Both are of one size.
pub(super) fn add(counts: &mut BTreeMap<i64, Counts>, truth: &Segments, results: &Segments) {
    let shared = truth.shared(results);
    let common = |truth: u32, result: u32| shared.get(&(truth, result)).copied().unwrap_or(0);
    let mut areas: HashMap<u32, u64> = HashMap::new();
    let mut truth_areas: HashMap<u32, u64> = HashMap::new();
    for ((truth, result), pixels) in &shared {
        *truth_areas.entry(*truth).or_default() += pixels;
        *areas.entry(*result).or_default() += pixels;
    }
    let area = |segment: &Segment| areas.get(&segment.id).copied().unwrap_or(0);
    let by_id: HashMap<u32, &Segment> =
        results.segments.iter().map(|segment| (segment.id, segment)).collect();
    let (mut met, mut used) = (HashSet::new(), HashSet::new());
    let mut pairs: Vec<(u32, u32)> = shared.keys().copied().collect();
    // Sums in the same order every time.
    pairs.sort_unstable();
    let truths: HashMap<u32, &Segment> = truth.segments.iter().map(|segment| (segment.id, segment)).collect();
    for pair @ (truth, result) in pairs {
        let (Some(truth), Some(result)) = (truths.get(&truth), by_id.get(&result)) else { continue };
        if truth.crowd || truth.class != result.class {
            continue;
        }
        let both = shared[&pair];
        let said = truth.area.or_else(|| truth_areas.get(&truth.id).copied()).unwrap_or(0);
        let union = (area(result) + said).saturating_sub(both + common(VOID, result.id));
        let overlap = both as f64 / union.max(1) as f64;
        if overlap > 0.5 {
            let class = counts.entry(truth.class).or_default();
            class.found += 1;
            class.overlap += overlap;
            met.insert(truth.id);
            used.insert(result.id);
        }
    }
    // Of several crowds of a class the last one counts, as in the reference.
    let mut crowds: HashMap<i64, u32> = HashMap::new();
    for segment in truth.segments.iter().filter(|segment| !met.contains(&segment.id)) {
        if segment.crowd {
            crowds.insert(segment.class, segment.id);
        } else {
            counts.entry(segment.class).or_default().missed += 1;
        }
    }
    for segment in results.segments.iter().filter(|segment| !used.contains(&segment.id)) {
        let crowd = crowds.get(&segment.class).map_or(0, |crowd| common(*crowd, segment.id));
        let nothing = common(VOID, segment.id) + crowd;
        if nothing as f64 / area(segment) as f64 <= 0.5 {
            counts.entry(segment.class).or_default().wrong += 1;
        }
    }
}
