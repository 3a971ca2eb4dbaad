//! Arithmetic on the scores of one step.

/// `log(sum(exp(scores)))`, without overflow. Minus infinity where nothing is allowed.
pub fn log_sum_exp(scores: &[f32]) -> f32 {
    let max = max(scores);
    if max == f32::NEG_INFINITY {
        return max;
    }
    let mut powers = scores.iter().map(|score| score - max).collect::<Vec<_>>();
    percept_kernels::exponential(&mut powers);
    // One sum in f32 would lose digits over 50,000 tokens; sums of short runs do not.
    max + (powers.chunks(256).map(|run| f64::from(run.iter().sum::<f32>())).sum::<f64>().ln() as f32)
}

/// Probabilities of scores.
pub fn softmax(scores: &[f32]) -> Vec<f32> {
    let mut probabilities = scores.to_vec();
    let width = probabilities.len().max(1);
    percept_kernels::softmax(&mut probabilities, width);
    probabilities
}

pub(super) fn max(scores: &[f32]) -> f32 {
    scores.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// The index of the largest score; the first of equals.
pub(super) fn argmax(scores: &[f32]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    best
}

/// The `count` largest of `scores + offset` over all rows, as (row, token, score), largest first;
/// the earlier of equals first.
pub(super) fn top(rows: &[&[f32]], offsets: &[f32], count: usize) -> Vec<(usize, u32, f32)> {
    let mut best: Vec<(usize, u32, f32)> = Vec::with_capacity(count + 1);
    let mut floor = f32::NEG_INFINITY;
    for (row, (scores, offset)) in rows.iter().zip(offsets).enumerate() {
        for (token, score) in scores.iter().enumerate() {
            let score = score + offset;
            if best.len() == count && score <= floor {
                continue;
            }
            let place = best.partition_point(|(_, _, other)| *other >= score);
            best.insert(place, (row, token as u32, score));
            best.truncate(count);
            floor = best.last().map_or(f32::NEG_INFINITY, |(_, _, score)| *score);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first_and_forbidden_ones_last() {
        let (a, b) = ([0.0, 3.0, f32::NEG_INFINITY], [2.0, 2.5, -1.0]);
        let best = top(&[&a, &b], &[0.0, 1.0], 3);
        assert_eq!(best, vec![(1, 1, 3.5), (0, 1, 3.0), (1, 0, 3.0)]);
    }

    #[test]
    fn a_large_score_does_not_overflow() {
        assert!((log_sum_exp(&[1000.0, 1000.0]) - (1000.0 + std::f32::consts::LN_2)).abs() < 1e-3);
        assert_eq!(log_sum_exp(&[f32::NEG_INFINITY]), f32::NEG_INFINITY);
    }
}
