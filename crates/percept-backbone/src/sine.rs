//! Where a pixel lies, in sines and cosines.

use candle_core::{Device, Tensor};

use crate::Result;

/// `DetrSinePositionEmbedding` of transformers, normalised, which its kin share: `[1, rows * columns, dim]`, the rows in the first half of the
/// channels.
pub fn sine_positions([rows, columns]: [usize; 2], dim: usize, device: &Device) -> Result<Tensor> {
    let half = dim / 2;
    let lines =
        [rows, columns].map(|length| (0..length).map(|at| waves(at, length, half)).collect::<Vec<_>>());
    let mut values = Vec::with_capacity(rows * columns * dim);
    for row in &lines[0] {
        for column in &lines[1] {
            values.extend_from_slice(row);
            values.extend_from_slice(column);
        }
    }
    Tensor::from_vec(values, (1, rows * columns, 2 * half), device)
}

/// A place of an axis: sines and cosines in turn, of ever longer waves.
fn waves(at: usize, length: usize, count: usize) -> Vec<f32> {
    let angle = (at + 1) as f32 / (length as f32 + 1e-6) * std::f32::consts::TAU;
    let wave = |channel: usize| {
        let angle = angle / 10_000_f32.powf((channel / 2 * 2) as f32 / count as f32);
        if channel.is_multiple_of(2) { angle.sin() } else { angle.cos() }
    };
    (0..count).map(wave).collect()
}
