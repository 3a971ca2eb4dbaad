//! Convolution with both sides rounded to bf16: the panels of `conv.rs`, multiplied two numbers at a time.

use crate::attention::Arithmetic;
use crate::conv::{ConvShape, PackedConv};
use crate::conv_direct;
use crate::epilogue::COLUMNS;
use crate::isa::Isa;
use crate::linear_bf16::{row_bytes, stage_panel, stage_row};
use crate::scratch::{Aligned, Scratch, cast_mut};

/// A weight in rows of bf16.
#[derive(Clone)]
pub(crate) struct HalfWeight {
    pub(crate) rows: Aligned,
    /// Bytes from one row to the next: an odd number of cache lines.
    pub(crate) stride: usize,
}

impl HalfWeight {
    /// Whether pairs of bf16 are worth it for this shape and size of the input, on AVX-512 with its products of pairs. (With
    /// AMX `conv_amx` is used.) They are twice as fast, but panels have to be gathered and rounded: that pays where a panel
    /// serves many channels, or where it would be gathered anyway.
    pub(crate) fn suits(isa: Isa, shape: &ConvShape, size: [usize; 2], arithmetic: Arithmetic) -> bool {
        let least = if conv_direct::suits(shape, size) { 96 } else { 24 };
        let fits = shape.out_channels / shape.groups >= least && shape.depth() >= 16;
        arithmetic == Arithmetic::Bf16 && isa == Isa::Avx512Vnni && fits
    }

    pub(crate) fn new(isa: Isa, conv: &PackedConv) -> Self {
        let shape = conv.shape();
        let bytes = row_bytes(shape.depth());
        let stride = 64 * (bytes.div_ceil(64) | 1);
        let mut rows = Aligned::zeroed(shape.out_channels * stride);
        for (channel, row) in rows.bytes_mut().chunks_exact_mut(stride).enumerate() {
            stage_row(isa, conv.row(channel), cast_mut(&mut row[..bytes]));
        }
        Self { rows, stride }
    }
}

/// Bytes of a panel of pairs for `depth` lines of numbers.
pub(crate) fn panel_bytes(depth: usize) -> usize {
    row_bytes(depth) * COLUMNS
}

/// Steps of four bytes a row.
pub(crate) fn steps(depth: usize) -> usize {
    row_bytes(depth) / 4
}

/// Rounds the panel `[depth][32]` into pairs.
pub(crate) fn pairs(isa: Isa, gathered: &[f32], pairs: &mut Scratch) {
    stage_panel(isa, gathered, cast_mut(pairs));
}
