//! Linear layers in f32.

use crate::epilogue::{COLUMNS, Epilogue};
use crate::packed::{check_weight, panels, rows_of};
use crate::product::{self, Left, Right};
use crate::scratch::{Aligned, as_bytes, cast_mut};
use crate::tile::Numbers;

/// A linear layer's weight in f32, packed once for [`PackedF32::matmul`].
#[derive(Clone)]
pub struct PackedF32 {
    panels: Aligned,
    channels: usize,
    depth: usize,
}

/// Rows that are read where they lie.
struct Rows<'a> {
    values: &'a [f32],
    depth: usize,
}

impl Left for Rows<'_> {
    fn row_bytes(&self) -> usize {
        self.depth * 4
    }

    fn stage(&self, _row: usize, _staged: &mut [u8]) {
        unreachable!("f32 rows are read where they lie");
    }

    fn in_place(&self) -> Option<(&[u8], usize)> {
        Some((as_bytes(self.values), self.depth * 4))
    }
}

impl PackedF32 {
    /// Packs a weight of `channels` outputs by `depth` inputs, row by row as PyTorch stores it.
    ///
    /// # Panics
    /// If the length is not `channels * depth`.
    #[must_use]
    pub fn new(weight: &[f32], channels: usize, depth: usize) -> Self {
        check_weight(weight.len(), channels, depth);
        let panels = panels(channels, depth * COLUMNS * 4, &|first, count, panel| {
            let panel = cast_mut::<f32>(panel);
            for (p, line) in panel.chunks_exact_mut(COLUMNS).enumerate() {
                for (c, value) in line[..count].iter_mut().enumerate() {
                    *value = weight[(first + c) * depth + p];
                }
            }
        });
        Self { panels, channels, depth }
    }

    /// Output channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Input channels.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// `out[m, channels] = epilogue(input[m, depth] x weight^T)`, for any m.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn matmul(&self, input: &[f32], out: &mut [f32], epilogue: &Epilogue<'_>) {
        let rows = rows_of(input.len(), self.depth, out.len(), self.channels);
        let right = Right {
            numbers: Numbers::F32,
            panels: self.panels.bytes(),
            panel_bytes: self.depth * COLUMNS * 4,
            steps: self.depth,
        };
        let left = Rows { values: input, depth: self.depth };
        product::run(&left, right, (rows, self.channels), out, epilogue);
    }
}
