//! Arithmetic on the scores of one step.

pub(super) use percept_kernels::{index_of_largest as argmax, largest as max, log_sum_exp};

/// Probabilities of scores.
pub fn softmax(scores: &[f32]) -> Vec<f32> {
    let mut probabilities = scores.to_vec();
    let width = probabilities.len().max(1);
    percept_kernels::softmax(&mut probabilities, width);
    probabilities
}

/// The scores of one row, each of which counts as `score - total + offset`.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) scores: &'a [f32],
    pub(super) total: f32,
    pub(super) offset: f32,
}

/// The `count` largest scores over all rows, as (row, token, score), largest first; the earlier of
/// equals first.
pub(super) fn top(rows: &[Row<'_>], count: usize) -> Vec<(usize, u32, f32)> {
    let mut best: Vec<(usize, u32, f32)> = Vec::with_capacity(count + 1);
    let mut floor = f32::NEG_INFINITY;
    for (row, Row { scores, total, offset }) in rows.iter().enumerate() {
        // What is surely below the floor is passed over before anything is added; a little is left to
        // rounding, and whatever is taken is compared again.
        let surely = |floor: f32| (floor - offset) + total - 1e-4 * (1.0 + floor.abs() + total.abs());
        percept_kernels::for_each_above(scores, surely(floor), |token, score| {
            let score = score - total + offset;
            if best.len() < count || score > floor {
                let place = best.partition_point(|(_, _, other)| *other >= score);
                best.insert(place, (row, token as u32, score));
                best.truncate(count);
                if let (Some((_, _, last)), true) = (best.last(), best.len() == count) {
                    floor = *last;
                }
            }
            surely(floor)
        });
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first_and_forbidden_ones_last() {
        let (a, b) = ([0.0, 3.0, f32::NEG_INFINITY], [2.0, 2.5, -1.0]);
        let rows = [Row { scores: &a, total: 0.0, offset: 0.0 }, Row { scores: &b, total: 1.0, offset: 2.0 }];
        let best = top(&rows, 3);
        assert_eq!(best, vec![(1, 1, 3.5), (0, 1, 3.0), (1, 0, 3.0)]);
    }
}
