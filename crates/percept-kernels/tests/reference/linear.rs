//! Matrix products and what follows them, in f64.

use percept_kernels::{Epilogue, Residual};

use super::activation;

/// `input[m, k] x weight[n, k]^T` in f64.
pub(crate) fn product(input: &[f32], weight: &[f32], n: usize, k: usize) -> Vec<f64> {
    let m = input.len() / k;
    let mut out = Vec::with_capacity(m * n);
    for row in input.chunks_exact(k) {
        for column in weight.chunks_exact(k) {
            out.push(row.iter().zip(column).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum());
        }
    }
    out
}

/// An epilogue applied to a product in f64. `channel` is the channel of the output with an index; `old` is what
/// the output held.
pub(crate) fn finished(
    product: &[f64],
    channel: impl Fn(usize) -> usize,
    epilogue: &Epilogue<'_>,
    old: &[f32],
) -> Vec<f64> {
    let value = |slice: Option<&[f32]>, channel: usize, default: f64| {
        slice.map_or(default, |values| f64::from(values[channel]))
    };
    let each = product.iter().enumerate().map(|(index, x)| {
        let channel = channel(index);
        let inner = activation(epilogue.activation, x + value(epilogue.bias, channel, 0.0));
        let residual = match epilogue.residual {
            Residual::None => 0.0,
            Residual::Add(values) => f64::from(values[index]),
            Residual::InPlace => f64::from(old[index]),
        };
        residual + value(epilogue.scale, channel, 1.0) * inner
    });
    each.collect()
}

/// The product of the quantised numbers, as the module documents the quantisation, in f64.
pub(crate) fn quantised(input: &[f32], codes: &[i8], scales: &[f32], n: usize, k: usize) -> Vec<f64> {
    let weight: Vec<f32> = codes.iter().map(|q| f32::from(*q)).collect();
    let mut rounded = Vec::new();
    for row in input.chunks_exact(k) {
        let low = row.iter().fold(0.0_f32, |a, b| a.min(*b));
        let high = row.iter().fold(0.0_f32, |a, b| a.max(*b));
        let scale = if high > low { (high - low) / 255.0 } else { 1.0 };
        let zero = (-low / scale).round();
        rounded.extend(row.iter().map(|v| ((v / scale + zero).round().clamp(0.0, 255.0) - zero) * scale));
    }
    let mut out = product(&rounded, &weight, n, k);
    for row in out.chunks_exact_mut(n) {
        row.iter_mut().zip(scales).for_each(|(value, scale)| *value *= f64::from(*scale));
    }
    out
}

/// Rounding error of a sum of `k` products of numbers below 1, added one by one in f32.
pub(crate) fn rounding(k: usize) -> f64 {
    2e-6 * (k as f64).sqrt().max(2.0)
}

pub(crate) fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0_f64, |most, value| most.max(value.abs()))
}
