//! One ring out of several, for formats that know neither holes nor parts.

use super::polygon::Ring;

/// Compares at most about so many pairs of corners for one bridge.
const PAIRS: usize = 1 << 20;

/// One closed line that goes along all the rings, and between each and the next there and back on the same straight
/// bridge, of no width: by the even-odd and the non-zero rule it encloses what the rings enclose together, holes left
/// out. Bridges join near corners; this is what `merge_multi_segment` of ultralytics does.
pub(super) fn joined(rings: &[&Ring]) -> Ring {
    let bridges: Vec<(usize, usize)> = rings.windows(2).map(|pair| nearest(pair[0], pair[1])).collect();
    let Some(last) = rings.len().checked_sub(1) else { return Ring::new() };
    // Where the way comes to a ring, and where it leaves it for the next. The first ring begins with leaving.
    let entry = |index: usize| match index {
        0 => bridges.first().map_or(0, |bridge| bridge.0),
        _ => bridges[index - 1].1,
    };
    let mut line = Ring::new();
    for index in 0..last {
        walk(rings[index], entry(index), bridges[index].0, Stop::AtOnce, &mut line);
    }
    walk(rings[last], entry(last), entry(last), Stop::AfterARound, &mut line);
    for index in (0..last).rev() {
        walk(rings[index], bridges[index].0, entry(index), Stop::AfterARound, &mut line);
    }
    // The last corner is the first: rings are closed without it.
    line.pop();
    line
}

/// What to do where a walk begins at its end.
#[derive(PartialEq)]
enum Stop {
    AtOnce,
    AfterARound,
}

/// The corners from one to another, both included.
fn walk(ring: &Ring, from: usize, to: usize, stop: Stop, line: &mut Ring) {
    let mut steps = (to + ring.len() - from) % ring.len();
    if steps == 0 && stop == Stop::AfterARound {
        steps = ring.len();
    }
    line.extend((from..=from + steps).map(|index| ring[index % ring.len()]));
}

/// Corners of both rings that are near each other: the nearest, or of long rings the nearest of a part of them.
fn nearest(a: &Ring, b: &Ring) -> (usize, usize) {
    let step = (a.len() * b.len()).div_ceil(PAIRS).isqrt().max(1);
    let distance = |i: usize, j: usize| {
        let (x, y) = (u64::from(a[i][0].abs_diff(b[j][0])), u64::from(a[i][1].abs_diff(b[j][1])));
        x * x + y * y
    };
    (0..a.len())
        .step_by(step)
        .flat_map(|i| (0..b.len()).step_by(step).map(move |j| (i, j)))
        .min_by_key(|(i, j)| distance(*i, *j))
        .unwrap_or_default()
}
