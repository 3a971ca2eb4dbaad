//! Where a pixel lies, in sines and cosines.

use candle_core::{Device, Tensor};

use crate::Result;

/// `DetrSinePositionEmbedding` of transformers, normalised, which its kin share: `[1, rows * columns, dim]`, the rows in the first half of the
/// channels, with the longest wave nearly `temperature` times as long as the first (10,000 in most models).
pub fn sine_positions(
    [rows, columns]: [usize; 2],
    dim: usize,
    temperature: f32,
    device: &Device,
) -> Result<Tensor> {
    let half = dim / 2;
    let line = |length: usize| -> Vec<Vec<f32>> {
        let angle = |at: usize| (at + 1) as f32 / (length as f32 + 1e-6) * std::f32::consts::TAU;
        (0..length).map(|at| sine_waves(angle(at), half, temperature).collect()).collect()
    };
    let lines = [line(rows), line(columns)];
    let mut values = Vec::with_capacity(rows * columns * dim);
    for row in &lines[0] {
        for column in &lines[1] {
            values.extend_from_slice(row);
            values.extend_from_slice(column);
        }
    }
    Tensor::from_vec(values, (1, rows * columns, 2 * half), device)
}

/// Sines and cosines in turn of an angle, `channels` of them, of ever longer waves: the longest is nearly `temperature` times
/// as long as the first.
pub fn sine_waves(angle: f32, channels: usize, temperature: f32) -> impl Iterator<Item = f32> + use<> {
    (0..channels).map(move |channel| {
        let angle = angle / temperature.powf((channel / 2 * 2) as f32 / channels as f32);
        if channel.is_multiple_of(2) { angle.sin() } else { angle.cos() }
    })
}
