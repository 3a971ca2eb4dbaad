//! What a decoder does with the scores of a whole vocabulary at every step, each in one pass.

use crate::isa::isa;
use crate::math::{exp, per_isa};
use crate::norm;

/// Numbers that are compared or summed together before the result is looked at.
const RUN: usize = 256;

/// The largest of some numbers; minus infinity of none. NaN is passed over.
#[must_use]
pub fn largest(values: &[f32]) -> f32 {
    largest_of(isa(), values)
}

/// The index of the largest number, the first of equals; 0 where there is none.
#[must_use]
pub fn index_of_largest(values: &[f32]) -> usize {
    let most = largest(values);
    values.iter().position(|value| *value == most).unwrap_or(0)
}

/// `log(sum(exp(values)))` without overflow; minus infinity where all of them are.
#[must_use]
pub fn log_sum_exp(values: &[f32]) -> f32 {
    let isa = isa();
    let most = largest_of(isa, values);
    if most == f32::NEG_INFINITY {
        return most;
    }
    // One sum in f32 would lose digits over 50,000 tokens; sums of short runs do not.
    let sum: f64 = values.chunks(RUN).map(|run| f64::from(sum_of_powers(isa, run, most))).sum();
    most + sum.ln() as f32
}

/// Calls `take(index, value)` for each of `values` above a floor that moves: `take` answers the new floor. Whole
/// runs below the floor are passed over at the price of one comparison a number.
pub fn for_each_above(values: &[f32], mut floor: f32, mut take: impl FnMut(usize, f32) -> f32) {
    const SHORT: usize = 64;
    let isa = isa();
    for (run, part) in values.chunks(SHORT).enumerate() {
        if largest_of(isa, part) > floor {
            for (index, value) in part.iter().enumerate() {
                if *value > floor {
                    floor = take(run * SHORT + index, *value);
                }
            }
        }
    }
}

per_isa! {
    fn largest_of(values: &[f32]) -> f32 {
        norm::largest(values)
    }
}

per_isa! {
    /// Of one run, relative to `most`.
    fn sum_of_powers(values: &[f32], most: f32) -> f32 {
        norm::sum_of(values, |value| exp::<FMA>(value - most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{available, with_isa};

    fn scores(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919) % 10_007) as f32 / 300.0 - 20.0).collect()
    }

    #[test]
    fn the_logarithm_of_the_sum_is_that_in_f64() {
        for count in [1, 31, 256, 257, 51_864] {
            let values = scores(count);
            let wanted = values.iter().map(|value| f64::from(*value).exp()).sum::<f64>().ln();
            for level in available() {
                let found = with_isa(level, || f64::from(log_sum_exp(&values)));
                assert!((found - wanted).abs() < 3e-6 * wanted.abs().max(1.0), "{level:?} {count}: {found}");
            }
        }
        assert_eq!(log_sum_exp(&[f32::NEG_INFINITY; 70]), f32::NEG_INFINITY);
        assert!((log_sum_exp(&[1000.0, 1000.0]) - (1000.0 + std::f32::consts::LN_2)).abs() < 1e-3);
    }

    #[test]
    fn the_first_of_the_largest_is_found_anywhere() {
        for at in [0, 63, 64, 130, 199] {
            let mut values = vec![-5.0; 200];
            values[at] = 2.0;
            values[199] = 2.0;
            for level in available() {
                with_isa(level, || assert_eq!((largest(&values), index_of_largest(&values)), (2.0, at)));
            }
        }
        assert_eq!((largest(&[]), index_of_largest(&[])), (f32::NEG_INFINITY, 0));
    }

    #[test]
    fn what_is_above_the_floor_is_seen_in_order() {
        let mut values = vec![0.0; 300];
        (values[3], values[64], values[70], values[299]) = (5.0, 4.0, 6.0, 7.0);
        let mut seen = Vec::new();
        for_each_above(&values, 1.0, |index, value| {
            seen.push(index);
            value
        });
        // The 4 stands behind the 5, which had raised the floor.
        assert_eq!(seen, [3, 70, 299]);
    }
}
