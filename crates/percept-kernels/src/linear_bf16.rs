//! Linear layers with weights and inputs rounded to bf16, summed in f32.

use crate::epilogue::{COLUMNS, Epilogue};
use crate::isa::{Isa, isa};
use crate::math::per_isa;
use crate::packed::{check_weight, panels, rows_of};
use crate::product::{self, Left, Right};
use crate::scratch::{Aligned, cast_mut};
use crate::tile::Numbers;
use half::bf16;

/// A linear layer's weight in bf16, packed once for [`PackedBf16::matmul`].
#[derive(Clone)]
pub struct PackedBf16 {
    panels: Aligned,
    channels: usize,
    depth: usize,
}

/// Rows rounded to bf16, padded with zeros to whole AMX tiles.
struct Rows<'a> {
    values: &'a [f32],
    depth: usize,
    isa: Isa,
}

/// Input channels with padding.
fn padded(depth: usize) -> usize {
    depth.next_multiple_of(32)
}

impl Left for Rows<'_> {
    fn row_bytes(&self) -> usize {
        row_bytes(self.depth)
    }

    fn stage(&self, row: usize, staged: &mut [u8]) {
        stage_row(self.isa, &self.values[row * self.depth..][..self.depth], cast_mut(staged));
    }
}

/// Bytes of a row of `depth` numbers on the left side.
pub(crate) fn row_bytes(depth: usize) -> usize {
    padded(depth) * 2
}

/// Rounds a row for the left side, zero padding included.
pub(crate) fn stage_row(isa: Isa, from: &[f32], to: &mut [u16]) {
    let (values, padding) = to.split_at_mut(from.len());
    round(isa, from, values);
    padding[..padded(from.len()) - from.len()].fill(0);
}

per_isa! {
    /// Rounds a panel `[depth][32]` for the right side: lines of 32 pairs.
    pub(crate) fn stage_panel(from: &[f32], to: &mut [u32]) {
        // To nearest, ties to even, as the conversion instruction does (finite numbers).
        let round = |x: f32| {
            let bits = x.to_bits();
            bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16
        };
        let zeros = [0.0; COLUMNS];
        let (lines, _) = from.as_chunks::<COLUMNS>();
        for (pair, to) in to.as_chunks_mut::<COLUMNS>().0.iter_mut().enumerate() {
            let (even, odd) =
                (lines.get(2 * pair).unwrap_or(&zeros), lines.get(2 * pair + 1).unwrap_or(&zeros));
            for ((to, even), odd) in to.iter_mut().zip(even).zip(odd) {
                *to = round(*even) | round(*odd) << 16;
            }
        }
    }
}

/// Converts to bf16, to nearest, ties to even.
fn round(isa: Isa, from: &[f32], to: &mut [u16]) {
    #[cfg(target_arch = "x86_64")]
    if isa >= Isa::Avx512Vnni {
        // SAFETY: an `Isa` of this level exists only where the processor has the instructions.
        return unsafe { crate::tile_avx512::bf16_from_f32(from, to) };
    }
    let _ = isa;
    for (to, from) in to.iter_mut().zip(from) {
        *to = bf16::from_f32(*from).to_bits();
    }
}

impl PackedBf16 {
    /// Rounds and packs a weight of `channels` outputs by `depth` inputs, row by row as PyTorch stores it.
    ///
    /// # Panics
    /// If the length is not `channels * depth`.
    #[must_use]
    pub fn new(weight: &[f32], channels: usize, depth: usize) -> Self {
        check_weight(weight.len(), channels, depth);
        Self::pack(channels, depth, &|index| bf16::from_f32(weight[index]).to_bits())
    }

    /// Packs a weight that is in bf16 already.
    ///
    /// # Panics
    /// If the length is not `channels * depth`.
    #[must_use]
    pub fn from_bf16(weight: &[bf16], channels: usize, depth: usize) -> Self {
        check_weight(weight.len(), channels, depth);
        Self::pack(channels, depth, &|index| weight[index].to_bits())
    }

    fn pack(channels: usize, depth: usize, value: &(impl Fn(usize) -> u16 + Sync)) -> Self {
        let panels = panels(channels, padded(depth) * COLUMNS * 2, &|first, count, panel| {
            let panel = cast_mut::<u16>(panel);
            for (pair, line) in panel.chunks_exact_mut(2 * COLUMNS).enumerate() {
                for (c, two) in line[..2 * count].chunks_exact_mut(2).enumerate() {
                    for (p, to) in (2 * pair..depth).zip(two) {
                        *to = value((first + c) * depth + p);
                    }
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

    /// `out[m, channels] = epilogue(bf16(input[m, depth]) x weight^T)`, for any m.
    ///
    /// Products of two bf16 are exact in f32; the error is that of rounding both sides to 8 bits.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn matmul(&self, input: &[f32], out: &mut [f32], epilogue: &Epilogue<'_>) {
        let rows = rows_of(input.len(), self.depth, out.len(), self.channels);
        let right = Right {
            numbers: Numbers::Bf16,
            panels: self.panels.bytes(),
            panel_bytes: padded(self.depth) * COLUMNS * 2,
            steps: padded(self.depth) / 2,
        };
        let left = Rows { values: input, depth: self.depth, isa: isa() };
        product::run(&left, right, (rows, self.channels), out, epilogue);
    }
}
