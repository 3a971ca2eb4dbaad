//! Linear layers whose weight is kept in IEEE half precision, as many checkpoints store it, and multiplied in
//! f32: the same numbers in half the memory.
//!
//! A product of a few rows (decoding) is bound by the memory that its weight takes, and converting a half costs
//! less than fetching the other half of an f32. For many rows [`PackedF32`](crate::PackedF32) is faster.

use crate::epilogue::{COLUMNS, Channels, Epilogue, Place, Target, Tile, finish};
use crate::isa::{Isa, isa};
use crate::math::{mul_add, per_isa};
use crate::matmul::{Matmul, Sealed};
use crate::packed::{ReadRows, certain, check_weight, interleave, panels, rows_in, rows_of};
use crate::parallel::{self, SharedOut};
use crate::scratch::{Aligned, Scratch, cast, cast_mut};
use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

/// Rows that are multiplied at once.
const ROWS: usize = 6;
/// Panels that one task takes at a time.
const TOGETHER: usize = 4;

/// A linear layer's weight in half precision, packed once for [`PackedHalf::matmul`].
#[derive(Clone)]
pub struct PackedHalf {
    panels: Aligned,
    channels: usize,
    depth: usize,
}

impl PackedHalf {
    /// Packs a weight of `channels` outputs by `depth` inputs, row by row as PyTorch stores it.
    ///
    /// # Panics
    /// If the length is not `channels * depth`.
    #[must_use]
    pub fn new(weight: &[f16], channels: usize, depth: usize) -> Self {
        check_weight(weight.len(), channels, depth);
        certain(Self::from_rows(channels, depth, &rows_in(weight, depth)))
    }

    /// Packs a weight whose rows are read a panel of 32 at a time, on all threads.
    ///
    /// # Errors
    /// What `read` reports.
    ///
    /// # Panics
    /// If `depth` is zero.
    pub fn from_rows<E: Send>(channels: usize, depth: usize, read: &ReadRows<'_, f16, E>) -> Result<Self, E> {
        assert!(depth > 0, "weight: at least one input channel is wanted");
        let whole = depth.next_multiple_of(2);
        let (panels, _) = panels(channels, depth * COLUMNS * 2, &|first, count, panel| {
            let mut rows = Scratch::bytes(count * depth * 2);
            let rows = &mut cast_mut::<u16>(&mut rows)[..count * depth];
            read(first, rows.reinterpret_cast_mut())?;
            // Two numbers of a row lie side by side until their lines are pulled apart.
            let mut even = Scratch::bytes(count * whole * 2);
            if whole > depth {
                even.fill(0);
            }
            for (row, line) in
                rows.chunks_exact(depth).zip(cast_mut::<u16>(&mut even).chunks_exact_mut(whole))
            {
                line[..depth].copy_from_slice(row);
            }
            let mut pairs = Scratch::bytes(whole / 2 * COLUMNS * 4);
            if count < COLUMNS {
                pairs.fill(0);
            }
            interleave(cast(&even), whole / 2, cast_mut(&mut pairs));
            let lines = cast_mut::<u16>(panel).chunks_mut(2 * COLUMNS);
            for (two, pair) in lines.zip(cast::<u32>(&pairs).chunks_exact(COLUMNS)) {
                let (low, high) = two.split_at_mut(COLUMNS);
                low.iter_mut().zip(pair).for_each(|(low, pair)| *low = *pair as u16);
                high.iter_mut().zip(pair).for_each(|(high, pair)| *high = (*pair >> 16) as u16);
            }
            Ok(())
        })?;
        Ok(Self { panels, channels, depth })
    }

    /// `[depth][32]`.
    fn panel(&self, index: usize) -> &[f16] {
        let length = self.depth * COLUMNS;
        cast::<u16>(self.panels.bytes())[index * length..][..length].reinterpret_cast()
    }
}

impl Sealed for PackedHalf {}

impl Matmul for PackedHalf {
    fn channels(&self) -> usize {
        self.channels
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn rows_are_independent(&self) -> bool {
        // Even and odd steps are summed apart for any number of rows.
        true
    }

    fn matmul(&self, input: &[f32], out: &mut [f32], epilogue: &Epilogue<'_>) {
        let rows = rows_of(input.len(), self.depth, out.len(), self.channels);
        let isa = isa();
        epilogue.check(self.channels, out.len());
        let count = self.channels.div_ceil(COLUMNS);
        let cost = rows * self.channels * self.depth;
        let shared = SharedOut::new(out);
        let target = Target { out: &shared, offset: 0, stride: self.channels, channels: Channels::Columns };
        parallel::for_each(count.div_ceil(TOGETHER), cost, &|task| {
            let mut tile = Tile::zeroed();
            let mut floats = Scratch::floats(if isa >= Isa::Avx512 { 0 } else { self.depth * COLUMNS });
            for index in task * TOGETHER..(task * TOGETHER + TOGETHER).min(count) {
                let panel = self.panel(index);
                if isa < Isa::Avx512 {
                    panel.convert_to_f32_slice(floats.as_floats());
                }
                for row in (0..rows).step_by(ROWS) {
                    let together = ROWS.min(rows - row);
                    let left = &input[row * self.depth..][..together * self.depth];
                    if isa >= Isa::Avx512 {
                        halves(left, panel, &mut tile);
                    } else {
                        plain(isa, left, self.depth, floats.as_floats(), &mut tile);
                    }
                    let column = index * COLUMNS;
                    let columns = COLUMNS.min(self.channels - column);
                    let place = Place { row, rows: together, column, columns };
                    // SAFETY: tasks have different columns.
                    unsafe { finish(isa, &mut tile, place, epilogue, &target) };
                }
            }
        });
    }
}

/// A tile on AVX-512; only called where the processor has it.
fn halves(left: &[f32], panel: &[f16], tile: &mut Tile) {
    #[cfg(target_arch = "x86_64")]
    {
        let depth = panel.len() / COLUMNS;
        let bits: &[u16] = panel.reinterpret_cast();
        // SAFETY: the caller has an `Isa` of this level, which exists only where the processor has it.
        unsafe {
            match left.len() / depth {
                1 => avx512::rows::<1>(left, bits, tile),
                2 => avx512::rows::<2>(left, bits, tile),
                3 => avx512::rows::<3>(left, bits, tile),
                4 => avx512::rows::<4>(left, bits, tile),
                5 => avx512::rows::<5>(left, bits, tile),
                _ => avx512::rows::<ROWS>(left, bits, tile),
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (left, panel, tile);
        unreachable!("AVX-512 is of x86-64");
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{COLUMNS, Tile};
    use std::arch::x86_64::{
        __m512, _mm256_loadu_si256, _mm512_add_ps, _mm512_cvtph_ps, _mm512_fmadd_ps, _mm512_set1_ps,
        _mm512_setzero_ps, _mm512_storeu_ps,
    };

    /// `R` rows by one panel. Even and odd steps have sums of their own, so that the multiplications of one row
    /// do not all wait for each other.
    #[target_feature(enable = "avx512f")]
    pub(super) fn rows<const R: usize>(left: &[f32], panel: &[u16], tile: &mut Tile) {
        let depth = panel.len() / COLUMNS;
        assert_eq!(left.len(), R * depth, "{R} rows of {depth} are wanted");
        let (mut even, mut odd) = ([[_mm512_setzero_ps(); 2]; R], [[_mm512_setzero_ps(); 2]; R]);
        for pair in 0..depth / 2 {
            // SAFETY: both steps are below `depth`, which the lengths above are for.
            unsafe {
                step(left, panel, depth, 2 * pair, &mut even);
                step(left, panel, depth, 2 * pair + 1, &mut odd);
            }
        }
        if depth % 2 == 1 {
            // SAFETY: as above.
            unsafe { step(left, panel, depth, depth - 1, &mut even) };
        }
        for (r, (even, odd)) in even.iter().zip(&odd).enumerate() {
            for half in 0..2 {
                let to = &mut tile.0[r * COLUMNS + 16 * half..][..16];
                // SAFETY: room for 16 numbers was sliced.
                unsafe { _mm512_storeu_ps(to.as_mut_ptr(), _mm512_add_ps(even[half], odd[half])) };
            }
        }
    }

    /// One step over the depth.
    ///
    /// # Safety
    /// `p` is below `depth`, `left` holds `R` rows of `depth` numbers, and `panel` 32 for each step.
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn step<const R: usize>(
        left: &[f32],
        panel: &[u16],
        depth: usize,
        p: usize,
        sums: &mut [[__m512; 2]; R],
    ) {
        let right = panel.as_ptr().wrapping_add(p * COLUMNS);
        // SAFETY: 32 halves of step `p`, by this function's contract.
        let (low, high) =
            unsafe { (_mm256_loadu_si256(right.cast()), _mm256_loadu_si256(right.wrapping_add(16).cast())) };
        let (low, high) = (_mm512_cvtph_ps(low), _mm512_cvtph_ps(high));
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: number `p` of row `r`, by this function's contract.
            let x = _mm512_set1_ps(unsafe { *left.as_ptr().add(r * depth + p) });
            sums[0] = _mm512_fmadd_ps(x, low, sums[0]);
            sums[1] = _mm512_fmadd_ps(x, high, sums[1]);
        }
    }
}

per_isa! {
    /// Up to [`ROWS`] rows by one panel in f32.
    fn plain(left: &[f32], depth: usize, panel: &[f32], tile: &mut Tile) {
        for (row, sums) in left.chunks_exact(depth).zip(tile.0.chunks_exact_mut(COLUMNS)) {
            let mut own = [0.0_f32; COLUMNS];
            for (x, line) in row.iter().zip(panel.as_chunks::<COLUMNS>().0) {
                for (sum, weight) in own.iter_mut().zip(line) {
                    *sum = mul_add::<FMA>(*x, *weight, *sum);
                }
            }
            sums.copy_from_slice(&own);
        }
    }
}
