//! The softmax of attention: from a row of scores to weights relative to its peak, in base 2.

use crate::epilogue::COLUMNS;
use crate::math::{fold, mul_add, per_isa};

/// A row's peak so far (of scores times log2(e)) and its sum of weights.
#[derive(Clone, Copy)]
pub(crate) struct Running {
    pub(crate) peak: f32,
    pub(crate) sum: f32,
}

impl Running {
    /// Before the first key.
    pub(crate) const START: Self = Self { peak: f32::NEG_INFINITY, sum: 0.0 };
}

/// `2^x` for x at most 0, within 4e-7 of it; 2^-126 below -126.
#[inline(always)]
#[allow(clippy::approx_constant)] // a coefficient near ln 2, which is not it
fn exp2_of_negative<const FMA: bool>(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer, kept in the low bits
    const LOWEST: f32 = -126.0;
    let inside = if x > LOWEST { x } else { LOWEST };
    let shifted = inside + SHIFT;
    let part = inside - (shifted - SHIFT);
    // Minimax polynomial of degree 5 for 2^part on |part| <= 1/2 (Remez; its constant term is 1 + 7e-8).
    let mut p = 1.327_647_2e-3;
    p = mul_add::<FMA>(p, part, 9.675_541e-3);
    p = mul_add::<FMA>(p, part, 5.550_713_3e-2);
    p = mul_add::<FMA>(p, part, 2.402_212e-1);
    p = mul_add::<FMA>(p, part, 6.931_47e-1);
    p = mul_add::<FMA>(p, part, 1.0);
    // The integer in the low bits of `shifted` goes onto the exponent; what else they hold is shifted out.
    f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
}

per_isa! {
    /// Replaces a row of scores by the weights of the `seen` first relative to the new peak, and the rest by
    /// zeros. Scores are scaled, and `bias` is added where it is not empty. Answers how much older weights
    /// shrink by. A row is whole lines of 32.
    pub(crate) fn soften(row: &mut [f32], seen: usize, scale: f32, bias: &[f32], running: &mut Running) -> f32 {
        let mut scale = scale * std::f32::consts::LOG2_E;
        if !bias.is_empty() {
            for (value, bias) in row.iter_mut().zip(bias) {
                *value = mul_add::<FMA>(*bias, std::f32::consts::LOG2_E, *value * scale);
            }
            scale = 1.0;
        }
        // What is not seen is out of the way until the weights are there.
        row[seen..].fill(f32::NEG_INFINITY);
        let lines = row.as_chunks_mut::<COLUMNS>().0;
        let mut peaks = [f32::NEG_INFINITY; COLUMNS];
        for line in lines.iter() {
            for (peak, value) in peaks.iter_mut().zip(line) {
                *peak = if *value > *peak { *value } else { *peak };
            }
        }
        let old = running.peak;
        let peak = (scale * fold(peaks, |a, b| if b > a { b } else { a })).max(old);
        if peak == f32::NEG_INFINITY {
            row.fill(0.0);
            return 1.0;
        }
        let mut sums = [0.0_f32; COLUMNS];
        for line in lines.iter_mut() {
            for (sum, value) in sums.iter_mut().zip(line) {
                *value = exp2_of_negative::<FMA>(mul_add::<FMA>(*value, scale, -peak));
                *sum += *value;
            }
        }
        row[seen..].fill(0.0);
        let shrink = exp2_of_negative::<FMA>(old - peak);
        running.sum = mul_add::<FMA>(running.sum, shrink, fold(sums, |a, b| a + b));
        running.peak = peak;
        shrink
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_close_and_vanish_in_the_deep() {
        for step in 0..2520 {
            let x = -0.05 * step as f32;
            let exact = f64::from(x).exp2();
            let error = (f64::from(exp2_of_negative::<true>(x)) - exact).abs() / exact;
            assert!(error < 4e-7, "2^{x}: {error}");
        }
        assert_eq!(exp2_of_negative::<true>(0.0), 1.0);
        assert!(exp2_of_negative::<true>(f32::NEG_INFINITY) < 2e-38);
    }
}
