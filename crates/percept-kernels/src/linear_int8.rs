//! Linear layers in int8: weights with one scale per output channel, inputs quantised per row on the fly.
//!
//! A weight is `scale * q` with q in -127..=127. A row of the input is `scale * (q - zero)` with q in 0..=255
//! and its own scale and zero point, which spends no code on values that the row does not have. Then
//! `x . w = scale_x * scale_w * (q_x . q_w - zero * sum(q_w))`, with the sums over q_w known at load.
//! Integer sums are exact, so every instruction set gives the same sums.

use crate::epilogue::{COLUMNS, Epilogue, Place, Tile};
use crate::isa::{Isa, isa};
use crate::math::per_isa;
use crate::matmul::{Matmul, Sealed};
use crate::packed::{ReadRows, certain, check_weight, interleave, panels, rows_in, rows_of};
use crate::product::{self, Left, Right};
use crate::scratch::{Aligned, Scratch, cast, cast_mut};
use crate::tile::Numbers;

/// A linear layer's weight in int8, packed once for [`PackedInt8::matmul`].
#[derive(Clone)]
pub struct PackedInt8 {
    panels: Aligned,
    channels: usize,
    depth: usize,
    /// Per output channel, padded to whole panels.
    scales: Vec<f32>,
    /// Sum of the quantised weights of an output channel, padded likewise.
    sums: Vec<i32>,
}

/// Rows quantised to unsigned bytes, padded with zeros to whole AMX tiles; their scale and zero point follow.
struct Rows<'a> {
    values: &'a [f32],
    weight: &'a PackedInt8,
    isa: Isa,
}

/// Input channels with padding.
fn padded(depth: usize) -> usize {
    depth.next_multiple_of(64)
}

impl Left for Rows<'_> {
    fn row_bytes(&self) -> usize {
        padded(self.weight.depth)
    }

    fn stage(&self, row: usize, staged: &mut [u8]) {
        let depth = self.weight.depth;
        let tail = staged.len() - 64;
        let (codes, own) = staged.split_at_mut(tail);
        codes[depth..padded(depth)].fill(0);
        let own = &mut cast_mut::<f32>(own)[..2];
        quantise(self.isa, &self.values[row * depth..][..depth], &mut codes[..depth], own);
    }

    fn restore(&self, tile: &mut Tile, place: Place, staged: &[u8], stride: usize) {
        let channels = place.column..place.column + COLUMNS;
        let (scales, sums) = (&self.weight.scales[channels.clone()], &self.weight.sums[channels]);
        restore(self.isa, &mut tile.0[..place.rows * COLUMNS], scales, sums, staged, stride);
    }
}

per_isa! {
    /// Quantises a row; `own` receives the scale and the zero point.
    fn quantise(from: &[f32], codes: &mut [u8], own: &mut [f32]) {
        // Zero is always a code of its own, so that padding and silence are exact.
        let mut low = [0.0_f32; 16];
        let mut high = [0.0_f32; 16];
        let (lines, rest) = from.as_chunks::<16>();
        for line in lines {
            for (i, value) in line.iter().enumerate() {
                low[i] = if *value < low[i] { *value } else { low[i] };
                high[i] = if *value > high[i] { *value } else { high[i] };
            }
        }
        let low = low.iter().chain(rest).fold(0.0_f32, |a, b| a.min(*b));
        let high = high.iter().chain(rest).fold(0.0_f32, |a, b| a.max(*b));
        let range = high - low;
        let scale = if range > 0.0 { range / 255.0 } else { 1.0 };
        let inverse = 1.0 / scale;
        let zero = (-low * inverse).round().clamp(0.0, 255.0);
        // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
        const SHIFT: f32 = 12_582_912.0;
        for (code, value) in codes.iter_mut().zip(from) {
            let scaled = crate::math::mul_add::<FMA>(*value, inverse, zero).clamp(0.0, 255.0);
            *code = ((scaled + SHIFT).to_bits() & 0xff) as u8;
        }
        own[0] = scale;
        own[1] = zero;
    }
}

per_isa! {
    /// From integer sums to numbers.
    fn restore(tile: &mut [f32], scales: &[f32], sums: &[i32], staged: &[u8], stride: usize) {
        for (r, row) in tile.chunks_exact_mut(COLUMNS).enumerate() {
            let own = cast::<f32>(&staged[(r + 1) * stride - 64..(r + 1) * stride]);
            let (scale, zero) = (own[0], own[1] as i32);
            for ((value, s), sum) in row.iter_mut().zip(scales).zip(sums) {
                let product = value.to_bits().cast_signed().wrapping_sub(zero.wrapping_mul(*sum));
                *value = product as f32 * (scale * s);
            }
        }
    }
}

per_isa! {
    /// Quantises a row of a weight to -127..=127; answers its scale.
    fn quantise_weight(from: &[f32], codes: &mut [i8]) -> f32 {
        let mut most = [0.0_f32; 16];
        let (lines, rest) = from.as_chunks::<16>();
        for line in lines {
            for (most, value) in most.iter_mut().zip(line) {
                *most = if value.abs() > *most { value.abs() } else { *most };
            }
        }
        let most = most.iter().copied().chain(rest.iter().map(|value| value.abs())).fold(0.0_f32, f32::max);
        let scale = if most > 0.0 { most / 127.0 } else { 1.0 };
        // Adding 1.5 * 2^23 rounds to an integer, ties to even, and leaves it in the low bits.
        const SHIFT: f32 = 12_582_912.0;
        for (code, value) in codes.iter_mut().zip(from) {
            *code = ((value / scale).clamp(-127.0, 127.0) + SHIFT).to_bits() as i8;
        }
        scale
    }
}

per_isa! {
    fn sum_of_codes(codes: &[i8]) -> i32 {
        codes.iter().map(|q| i32::from(*q)).sum()
    }
}

/// Fills the rows of one panel and their scales (see [`PackedInt8::pack`]).
type FillPanel<'a, E> = dyn Fn(usize, usize, &mut [i8], &mut [f32; COLUMNS]) -> Result<(), E> + Sync + 'a;

impl PackedInt8 {
    /// Quantises and packs a weight of `channels` outputs by `depth` inputs, row by row as PyTorch stores it.
    ///
    /// # Panics
    /// If the length is not `channels * depth`.
    #[must_use]
    pub fn new(weight: &[f32], channels: usize, depth: usize) -> Self {
        check_weight(weight.len(), channels, depth);
        certain(Self::from_rows(channels, depth, &rows_in(weight, depth)))
    }

    /// Packs a weight that is quantised already: `scales[c] * codes[c, p]`.
    ///
    /// # Panics
    /// If a length does not fit.
    #[must_use]
    pub fn from_codes(codes: &[i8], scales: &[f32], channels: usize, depth: usize) -> Self {
        check_weight(codes.len(), channels, depth);
        certain(Self::from_code_rows(scales, channels, depth, &|first, rows| {
            rows.copy_from_slice(&codes[first * depth..][..rows.len()]);
            Ok(())
        }))
    }

    /// Quantises and packs a weight whose rows are read a panel of 32 at a time, on all threads.
    ///
    /// # Errors
    /// What `read` reports.
    pub fn from_rows<E: Send>(channels: usize, depth: usize, read: &ReadRows<'_, f32, E>) -> Result<Self, E> {
        let isa = isa();
        Self::pack(channels, depth, &|first, count, codes, scales| {
            let mut rows = Scratch::floats(count * depth);
            read(first, rows.as_floats())?;
            let lines = codes.chunks_exact_mut(padded(depth));
            for ((row, line), scale) in rows.as_floats().chunks_exact(depth).zip(lines).zip(scales) {
                *scale = quantise_weight(isa, row, &mut line[..depth]);
            }
            Ok(())
        })
    }

    /// Packs a weight that is quantised already and whose rows are read a panel of 32 at a time, on all threads.
    ///
    /// # Errors
    /// What `read` reports.
    ///
    /// # Panics
    /// If there is not one scale per output channel.
    pub fn from_code_rows<E: Send>(
        scales: &[f32],
        channels: usize,
        depth: usize,
        read: &ReadRows<'_, i8, E>,
    ) -> Result<Self, E> {
        assert_eq!(scales.len(), channels, "scales: one per output channel is wanted");
        Self::pack(channels, depth, &|first, count, codes, own| {
            own[..count].copy_from_slice(&scales[first..first + count]);
            let mut rows = Scratch::bytes(count * depth);
            let rows = &mut cast_mut::<i8>(&mut rows)[..count * depth];
            read(first, rows)?;
            let lines = codes.chunks_exact_mut(padded(depth));
            rows.chunks_exact(depth).zip(lines).for_each(|(row, line)| line[..depth].copy_from_slice(row));
            Ok(())
        })
    }

    /// Packs panels: `fill(first_channel, channels, codes, scales)` writes the rows of one, zero padding
    /// between them, and their scales.
    fn pack<E: Send>(channels: usize, depth: usize, fill: &FillPanel<'_, E>) -> Result<Self, E> {
        assert!(depth <= 1 << 15, "at most 32768 input channels keep the 32-bit sums exact");
        let (isa, whole) = (isa(), padded(depth));
        let (panels, lines) = panels(channels, whole * COLUMNS, &|first, count, panel| {
            let mut codes = Scratch::bytes(count * whole);
            if whole > depth {
                codes.fill(0);
            }
            let (mut scales, mut sums) = ([0.0; COLUMNS], [0; COLUMNS]);
            fill(first, count, cast_mut(&mut codes), &mut scales)?;
            for (sum, row) in sums.iter_mut().zip(cast::<i8>(&codes).chunks_exact(whole)) {
                *sum = sum_of_codes(isa, row);
            }
            interleave(cast(&codes), whole / 4, cast_mut(panel));
            Ok((scales, sums))
        })?;
        let (scales, sums): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
        Ok(Self { panels, channels, depth, scales: scales.concat(), sums: sums.concat() })
    }
}

impl Sealed for PackedInt8 {}

impl Matmul for PackedInt8 {
    fn channels(&self) -> usize {
        self.channels
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn rows_are_independent(&self) -> bool {
        // Sums of integers are exact in any order, and every row has a scale of its own.
        true
    }

    fn matmul(&self, input: &[f32], out: &mut [f32], epilogue: &Epilogue<'_>) {
        let rows = rows_of(input.len(), self.depth, out.len(), self.channels);
        let right = Right {
            numbers: Numbers::Int8,
            panels: self.panels.bytes(),
            panel_bytes: padded(self.depth) * COLUMNS,
            steps: padded(self.depth) / 4,
        };
        let left = Rows { values: input, weight: self, isa: isa() };
        product::run(&left, right, (rows, self.channels), out, epilogue);
    }
}
