//! Learned positions, and how they are brought to another image size.

use std::sync::{Mutex, PoisonError};

use candle_core::Tensor;

use super::config::Resampling;
use crate::Result;

/// A table of positions for a grid of patches.
#[derive(Debug)]
pub struct Positions {
    /// `[rows * columns, dim]`.
    table: Tensor,
    grid: [usize; 2],
    resampling: Resampling,
    /// The grid that was asked for last, since images mostly come in one size.
    last: Mutex<Option<([usize; 2], Tensor)>>,
}

impl Positions {
    /// From a table `[rows * columns, dim]`.
    pub fn new(table: Tensor, grid: [usize; 2], resampling: Resampling) -> Self {
        Self { table, grid, resampling, last: Mutex::new(None) }
    }

    /// The positions of a grid: `[rows * columns, dim]`.
    pub fn at(&self, grid: [usize; 2]) -> Result<Tensor> {
        if grid == self.grid {
            return Ok(self.table.clone());
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, table)) = &*last
            && *of == grid
        {
            return Ok(table.clone());
        }
        let table = self.resampled(grid)?;
        *last = Some((grid, table.clone()));
        Ok(table)
    }

    fn resampled(&self, to: [usize; 2]) -> Result<Tensor> {
        let dim = self.table.dim(1)?;
        let values = self.table.flatten_all()?.to_vec1::<f32>()?;
        let [rows, columns] = std::array::from_fn(|axis| taps(self.grid[axis], to[axis], self.resampling));
        let mut table = vec![0.0; to[0] * to[1] * dim];
        for (index, out) in table.chunks_exact_mut(dim).enumerate() {
            for (row, down) in &rows[index / to[1]] {
                for (column, across) in &columns[index % to[1]] {
                    let from = &values[(row * self.grid[1] + column) * dim..][..dim];
                    let weight = down * across;
                    out.iter_mut().zip(from).for_each(|(out, value)| *out += weight * value);
                }
            }
        }
        Tensor::from_vec(table, (to[0] * to[1], dim), self.table.device())
    }
}

/// For each place of an axis of `to` places, the places of one of `from` that it is made of, with
/// their weights.
///
/// As PyTorch's `interpolate(size=..., align_corners=False)` does it
/// (`aten/src/ATen/native/UpSample.h`, `aten/src/ATen/native/cpu/UpSampleKernel.cpp`): the ratio is
/// that of the sizes, and the centre of place `i` lies at `(i + 0.5) * from / to - 0.5`.
fn taps(from: usize, to: usize, resampling: Resampling) -> Vec<Vec<(usize, f32)>> {
    let ratio = from as f32 / to as f32;
    let of = |place: usize| match resampling {
        Resampling::Bilinear => {
            // A place before the first centre is the first.
            let centre = (ratio * (place as f32 + 0.5) - 0.5).max(0.0);
            let first = (centre as usize).min(from - 1);
            let second = (first + 1).min(from - 1);
            let part = centre - first as f32;
            vec![(first, 1.0 - part), (second, part)]
        }
        Resampling::Bicubic => {
            let centre = ratio * (place as f32 + 0.5) - 0.5;
            let floor = centre.floor();
            // Beyond the edge the outermost place is taken again.
            let tap = |offset: i64| {
                let at = (floor as i64 + offset).clamp(0, from as i64 - 1) as usize;
                (at, cubic(centre - floor - offset as f32, -0.75))
            };
            (-1..=2).map(tap).collect::<Vec<_>>()
        }
        Resampling::BicubicAntialiased => {
            let widening = ratio.max(1.0);
            let (centre, reach) = (ratio * (place as f32 + 0.5), 2.0 * widening);
            // Beyond the edge there is nothing; what is left is weighed up to 1.
            let first = (centre - reach + 0.5).max(0.0) as usize;
            let end = ((centre + reach + 0.5) as usize).min(from);
            let weight = |at: usize| cubic((at as f32 - centre + 0.5) / widening, -0.5);
            let sum = (first..end).map(weight).sum::<f32>();
            (first..end).map(|at| (at, weight(at) / sum)).collect()
        }
    };
    (0..to).map(of).collect()
}

/// The cubic convolution kernel (Keys 1981) at a distance.
fn cubic(distance: f32, a: f32) -> f32 {
    let x = distance.abs();
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}
