//! LayerNorm, RMSNorm, L2 normalisation and softmax over rows, one visit to memory each.

use crate::isa::isa;
use crate::math::{exp, fold, mul_add, per_isa};
use crate::parallel::{self, SharedOut};
use crate::scratch::filled;

/// Bytes of rows that one task takes.
const PART: usize = 16 << 10;

/// Calls `work(row, out_row)` for all rows of `out`.
fn for_rows(out: &mut [f32], width: usize, cost: usize, work: &(dyn Fn(usize, &mut [f32]) + Sync)) {
    if width == 0 {
        return;
    }
    let (rows, length) = (out.len() / width, out.len());
    let together = (PART / (4 * width)).max(1);
    let shared = SharedOut::new(out);
    parallel::for_each(rows.div_ceil(together), length * cost, &|task| {
        for row in task * together..((task + 1) * together).min(rows) {
            // SAFETY: each row belongs to one task.
            work(row, unsafe { shared.part(row * width, width) });
        }
    });
}

/// Sums in 32 lanes, so that the order of additions does not wait for itself.
#[inline(always)]
pub(crate) fn sum_of(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; 32];
    let (lines, rest) = values.as_chunks::<32>();
    for line in lines {
        for (lane, value) in lanes.iter_mut().zip(line) {
            *lane += term(*value);
        }
    }
    let mut sum = 0.0;
    for value in rest {
        sum += term(*value);
    }
    fold(lanes, |a, b| a + b) + sum
}

/// The largest value, in 32 lanes; negative infinity for none.
#[inline(always)]
pub(crate) fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 32];
    let (lines, rest) = values.as_chunks::<32>();
    for line in lines {
        for (lane, value) in lanes.iter_mut().zip(line) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    let most = fold(lanes, |a, b| if b > a { b } else { a });
    rest.iter().fold(most, |a, b| if *b > a { *b } else { a })
}

/// Checks that input and output hold the same whole rows of `width`, and the parameters one row.
fn check(input: &[f32], width: usize, parameters: [Option<&[f32]>; 2], out: &[f32]) {
    assert_eq!(input.len(), out.len(), "input and output need one length");
    assert!(width > 0 && input.len().is_multiple_of(width), "whole rows of {width} are wanted");
    for parameter in parameters.into_iter().flatten() {
        assert_eq!(parameter.len(), width, "weight and bias: {width} values are wanted");
    }
}

/// `out = (x - mean) / sqrt(variance + eps) * weight + bias` for each row of `width`.
///
/// # Panics
/// If a length does not fit.
pub fn layer_norm(
    input: &[f32],
    width: usize,
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
    eps: f32,
    out: &mut [f32],
) {
    check(input, width, [weight, bias], out);
    let isa = isa();
    for_rows(out, width, 4, &|row, out| {
        layer_norm_row(isa, &input[row * width..][..width], weight, bias, eps, out);
    });
}

/// [`layer_norm`] with weight and bias into a new array.
///
/// # Panics
/// If a length does not fit.
#[must_use]
pub fn layer_normed(input: &[f32], weight: &[f32], bias: &[f32], eps: f32) -> Vec<f32> {
    let write = |out: &mut [f32]| layer_norm(input, weight.len(), Some(weight), Some(bias), eps, out);
    // SAFETY: every row is written whole.
    unsafe { filled(input.len(), write) }
}

per_isa! {
    pub(crate) fn layer_norm_row(row: &[f32], weight: Option<&[f32]>, bias: Option<&[f32]>, eps: f32, out: &mut [f32]) {
        let count = row.len() as f32;
        let mean = sum_of(row, |x| x) / count;
        let variance = sum_of(row, |x| (x - mean) * (x - mean)) / count;
        let factor = 1.0 / (variance + eps).sqrt();
        match (weight, bias) {
            (Some(weight), Some(bias)) => {
                for (((o, x), w), b) in out.iter_mut().zip(row).zip(weight).zip(bias) {
                    *o = mul_add::<FMA>((x - mean) * factor, *w, *b);
                }
            }
            _ => {
                out.iter_mut().zip(row).for_each(|(o, x)| *o = (x - mean) * factor);
                if let Some(weight) = weight {
                    out.iter_mut().zip(weight).for_each(|(o, w)| *o *= w);
                }
                if let Some(bias) = bias {
                    out.iter_mut().zip(bias).for_each(|(o, b)| *o += b);
                }
            }
        }
    }
}

/// `out = x / sqrt(mean of squares + eps) * weight` for each row of `width`.
///
/// # Panics
/// If a length does not fit.
pub fn rms_norm(input: &[f32], width: usize, weight: Option<&[f32]>, eps: f32, out: &mut [f32]) {
    check(input, width, [weight, None], out);
    let isa = isa();
    for_rows(out, width, 3, &|row, out| {
        rms_norm_row(isa, &input[row * width..][..width], weight, eps, out);
    });
}

per_isa! {
    fn rms_norm_row(row: &[f32], weight: Option<&[f32]>, eps: f32, out: &mut [f32]) {
        let factor = 1.0 / (sum_of(row, |x| x * x) / row.len() as f32 + eps).sqrt();
        match weight {
            Some(weight) => {
                out.iter_mut().zip(row).zip(weight).for_each(|((o, x), w)| *o = x * factor * w);
            }
            None => out.iter_mut().zip(row).for_each(|(o, x)| *o = x * factor),
        }
    }
}

/// `out = x / max(length of x, eps)` for each row of `width`, as `torch.nn.functional.normalize`.
///
/// # Panics
/// If a length does not fit.
pub fn l2_norm(input: &[f32], width: usize, eps: f32, out: &mut [f32]) {
    check(input, width, [None, None], out);
    let isa = isa();
    for_rows(out, width, 3, &|row, out| l2_norm_row(isa, &input[row * width..][..width], eps, out));
}

per_isa! {
    fn l2_norm_row(row: &[f32], eps: f32, out: &mut [f32]) {
        let factor = 1.0 / sum_of(row, |x| x * x).sqrt().max(eps);
        out.iter_mut().zip(row).for_each(|(o, x)| *o = x * factor);
    }
}

/// Softmax of each row of `width`, in place. A row of negative infinities becomes zeros.
///
/// # Panics
/// If the length is not whole rows.
pub fn softmax(values: &mut [f32], width: usize) {
    assert!(width > 0 && values.len().is_multiple_of(width), "whole rows of {width} are wanted");
    let isa = isa();
    for_rows(values, width, 12, &|_, row| {
        let (_, sum) = exp_scaled(isa, row, 1.0, f32::NEG_INFINITY);
        multiply_by(isa, row, if sum > 0.0 { 1.0 / sum } else { 0.0 });
    });
}

per_isa! {
    /// Replaces each x by `exp(scale x - peak)`, where `peak` is the larger of `floor` and the largest
    /// `scale x`; answers the peak and the sum. `scale` is positive.
    pub(crate) fn exp_scaled(values: &mut [f32], scale: f32, floor: f32) -> (f32, f32) {
        let peak = (largest(values) * scale).max(floor);
        // With everything masked there is no peak; any finite one gives zeros.
        let shift = if peak == f32::NEG_INFINITY { 0.0 } else { -peak };
        let mut lanes = [0.0_f32; 32];
        let (lines, rest) = values.as_chunks_mut::<32>();
        for line in lines {
            for (lane, value) in lanes.iter_mut().zip(line) {
                *value = exp::<FMA>(mul_add::<FMA>(*value, scale, shift));
                *lane += *value;
            }
        }
        let mut sum = 0.0;
        for value in rest {
            *value = exp::<FMA>(mul_add::<FMA>(*value, scale, shift));
            sum += *value;
        }
        (peak, fold(lanes, |a, b| a + b) + sum)
    }
}

per_isa! {
    pub(crate) fn multiply_by(values: &mut [f32], factor: f32) {
        values.iter_mut().for_each(|value| *value *= factor);
    }
}
