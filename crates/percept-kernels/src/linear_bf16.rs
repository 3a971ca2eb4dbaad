//! Linear layers with weights and inputs rounded to bf16, summed in f32.

use crate::epilogue::{COLUMNS, Epilogue};
use crate::isa::{Isa, isa};
use crate::math::per_isa;
use crate::matmul::{Matmul, Sealed};
use crate::packed::{ReadRows, certain, check_weight, interleave, panels, rows_in, rows_of};
use crate::product::{self, Left, Right};
use crate::scratch::{Aligned, Scratch, cast, cast_mut};
use crate::tile::Numbers;
use half::bf16;
use half::slice::HalfFloatSliceExt;

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

per_isa! {
    /// Converts to bf16, to nearest, ties to even, with nothing flushed to zero.
    fn round_weight(from: &[f32], to: &mut [u16]) {
        for (to, from) in to.iter_mut().zip(from) {
            let bits = from.to_bits();
            let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
            let quiet = bits >> 16 | 0x40;
            *to = (if from.is_nan() { quiet } else { rounded }) as u16;
        }
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
        certain(Self::from_rows(channels, depth, &rows_in(weight, depth)))
    }

    /// Packs a weight that is in bf16 already.
    ///
    /// # Panics
    /// If the length is not `channels * depth`.
    #[must_use]
    pub fn from_bf16(weight: &[bf16], channels: usize, depth: usize) -> Self {
        check_weight(weight.len(), channels, depth);
        // The way over f32 and back changes no number.
        certain(Self::from_rows(channels, depth, &|first, rows| {
            weight[first * depth..][..rows.len()].convert_to_f32_slice(rows);
            Ok(())
        }))
    }

    /// Rounds and packs a weight whose rows are read a panel of 32 at a time, on all threads.
    ///
    /// # Errors
    /// What `read` reports.
    pub fn from_rows<E: Send>(channels: usize, depth: usize, read: &ReadRows<'_, f32, E>) -> Result<Self, E> {
        let isa = isa();
        let whole = padded(depth);
        let (panels, _) = panels(channels, whole * COLUMNS * 2, &|first, count, panel| {
            let mut rows = Scratch::floats(count * depth);
            read(first, rows.as_floats())?;
            let mut rounded = Scratch::bytes(count * whole * 2);
            if whole > depth {
                rounded.fill(0);
            }
            let lines = cast_mut::<u16>(&mut rounded).chunks_exact_mut(whole);
            for (row, line) in rows.as_floats().chunks_exact(depth).zip(lines) {
                round_weight(isa, row, &mut line[..depth]);
            }
            interleave(cast(&rounded), whole / 2, cast_mut(panel));
            Ok(())
        })?;
        Ok(Self { panels, channels, depth })
    }
}

impl Sealed for PackedBf16 {}

impl Matmul for PackedBf16 {
    fn channels(&self) -> usize {
        self.channels
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn rows_are_independent(&self) -> bool {
        // As for f32.
        isa() < Isa::Avx512Vnni
    }

    /// Products of two bf16 are exact in f32; the error is that of rounding both sides to 8 bits.
    fn matmul(&self, input: &[f32], out: &mut [f32], epilogue: &Epilogue<'_>) {
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
