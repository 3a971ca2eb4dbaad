//! A bias of attention by relative position (Bao et al. 2022, "BEiT", arXiv 2106.08254), brought to grids of any size as
//! MiDaS 3.1 does it (Birkl et al. 2023, arXiv 2307.14460; `BeitRelativePositionBias`).

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Tensor};
use percept_kernels::{Alignment, Filter};
use rayon::prelude::*;

use crate::resample::resize;
use crate::weights::{Weights, WeightsError};
use crate::{Result, ToContiguous};

/// A number for each head and each pair of tokens, of which the first stands for the image and the others in a grid.
#[derive(Debug)]
pub(super) struct RelativeBias {
    /// `[1, heads, 2 rows - 1, 2 columns - 1]`, by distance.
    table: Tensor,
    /// For each head: of the first token to the others, of the others to it, of it to itself.
    first: Vec<[f32; 3]>,
    /// The table for the grid that was asked for last, `[heads, ..]`, since images mostly come in one size.
    last: Mutex<Option<([usize; 2], Vec<f32>)>>,
}

impl RelativeBias {
    /// Where an attention has it.
    pub(super) const NAME: &'static str = "attention.relative_position_bias";

    /// Loads a table for a grid.
    pub(super) fn load(weights: &Weights, grid: [usize; 2], heads: usize) -> Result<Self, WeightsError> {
        let [rows, columns] = grid.map(|side| (2 * side).saturating_sub(1));
        let all = weights.get("relative_position_bias_table", &[rows * columns + 3, heads])?;
        let split = || {
            let first = all.narrow(0, rows * columns, 3)?.t()?.to_contiguous()?.to_vec2::<f32>()?;
            // The reference takes the distances across for those down; the grids of published checkpoints are square.
            let table = all.narrow(0, 0, rows * columns)?.t()?.to_contiguous()?;
            let table = table.reshape((1, heads, columns, rows))?;
            Ok((table, first.into_iter().map(|head| [head[0], head[1], head[2]]).collect()))
        };
        let (table, first) = split().map_err(WeightsError::Engine)?;
        Ok(Self { table, first, last: Mutex::new(None) })
    }

    /// `[1, heads, tokens, tokens]` of a grid, the last dimension the keys.
    pub(super) fn at(&self, grid: [usize; 2]) -> Result<Tensor> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let table = match last.take() {
            Some((of, table)) if of == grid => table,
            _ => {
                let size = grid.map(|side| 2 * side - 1);
                let table = resize(&self.table, size, Filter::Bilinear, Alignment::Edges)?;
                table.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?
            }
        };
        let bias = self.written_out(&table, grid);
        *last = Some((grid, table));
        let (heads, tokens) = (self.first.len(), 1 + grid[0] * grid[1]);
        Tensor::from_vec(bias, (1, heads, tokens, tokens), self.table.device())
    }

    fn written_out(&self, table: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
        let (down, across) = (2 * rows - 1, 2 * columns - 1);
        let tokens = 1 + rows * columns;
        let mut bias = vec![0.0; self.first.len() * tokens * tokens];
        bias.par_chunks_exact_mut(tokens).enumerate().with_min_len(16).for_each(|(line, bias)| {
            let (head, query) = (line / tokens, line % tokens);
            let [to_others, to_first, to_itself] = self.first[head];
            let Some(place) = query.checked_sub(1) else {
                bias.fill(to_others);
                bias[0] = to_itself;
                return;
            };
            bias[0] = to_first;
            let (y, x) = (place / columns, place % columns);
            let table = &table[head * down * across..][..down * across];
            for (key_y, bias) in bias[1..].chunks_exact_mut(columns).enumerate() {
                // From the distance to key 0 down to that to the last one.
                let distances = &table[(y + rows - 1 - key_y) * across + x..][..columns];
                bias.iter_mut().zip(distances.iter().rev()).for_each(|(bias, distance)| *bias = *distance);
            }
        });
        bias
    }
}
