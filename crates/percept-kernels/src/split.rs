//! f32 as the sum of three bf16, so that AMX can multiply f32.
//!
//! A bf16 has 8 significant bits, an f32 has 24: `x = high + middle + low` exactly (but for numbers below
//! 1e-33, whose last bits are lost). Of the nine products of two such sums, the six that reach f32's own
//! precision are added; the others are below 2^-26 of the product. AMX multiplies bf16 16 times as fast as
//! AVX-512 multiplies f32, so six products still win clearly. A product of non-finite numbers gives NaN.

use crate::attention::Arithmetic;
use crate::epilogue::COLUMNS;
use crate::isa::Isa;
use crate::math::per_isa;

/// Into how many parts numbers are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    /// The first 16 bits, and three products: at most 3 * 2^-16 of a product is left out.
    Two,
    /// All bits, and six products.
    Three,
}

/// Parts of a number at most.
pub(crate) const PARTS: usize = 3;

impl Parts {
    /// Those that an arithmetic asks for.
    pub(crate) fn of(arithmetic: Arithmetic) -> Self {
        if arithmetic == Arithmetic::F32 { Self::Three } else { Self::Two }
    }

    pub(crate) fn count(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Three => 3,
        }
    }
}

/// Input channels with padding to whole AMX steps.
pub(crate) fn padded(depth: usize) -> usize {
    depth.next_multiple_of(32)
}

/// Bytes of a split row of `depth` numbers: for each 32 numbers, 64 bytes of each part.
pub(crate) fn row_bytes(depth: usize, parts: Parts) -> usize {
    padded(depth) * 2 * parts.count()
}

/// The nearest bf16's bits, as an f32's (finite numbers).
#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000
}

/// The three parts, each in the upper half of the bits.
#[inline(always)]
pub(crate) fn parts(x: f32) -> [u32; PARTS] {
    let high = round(x);
    let rest = x - f32::from_bits(high);
    let middle = round(rest);
    let low = round(rest - f32::from_bits(middle));
    [high, middle, low]
}

/// Splits a row for the left side; `to` has [`row_bytes`] bytes as halves.
pub(crate) fn split_row(isa: Isa, from: &[f32], to: &mut [u16], parts: Parts) {
    #[cfg(target_arch = "x86_64")]
    if isa >= Isa::Avx512Vnni {
        // SAFETY: an `Isa` of this level exists only where the processor has the instructions.
        return unsafe { crate::tile_avx512::split_row(from, to, parts.count()) };
    }
    split_row_plain(isa, from, to, parts.count());
}

per_isa! {
    fn split_row_plain(from: &[f32], to: &mut [u16], count: usize) {
        for (numbers, group) in from.chunks(32).zip(to.chunks_exact_mut(32 * count)) {
            let mut line = [0.0; 32];
            line[..numbers.len()].copy_from_slice(numbers);
            let split = line.map(parts);
            for (part, to) in group.chunks_exact_mut(32).enumerate() {
                for (to, parts) in to.iter_mut().zip(&split) {
                    *to = (parts[part] >> 16) as u16;
                }
            }
        }
    }
}

/// Splits a panel `[depth][32]` for the right side: for each 32 numbers deep, the parts, each of 16 lines of
/// 32 pairs.
pub(crate) fn split_panel(isa: Isa, from: &[f32], to: &mut [u32], parts: Parts) {
    split_panel_lines(isa, from, to, parts.count());
}

per_isa! {
    fn split_panel_lines(from: &[f32], to: &mut [u32], count: usize) {
        let zeros = [0.0; COLUMNS];
        let (lines, _) = from.as_chunks::<COLUMNS>();
        for (step, group) in to.chunks_exact_mut(count * 16 * COLUMNS).enumerate() {
            let (group, _) = group.as_chunks_mut::<COLUMNS>();
            for pair in 0..16 {
                let line = 32 * step + 2 * pair;
                let mut even = *lines.get(line).unwrap_or(&zeros);
                let mut odd = *lines.get(line + 1).unwrap_or(&zeros);
                for part in 0..count {
                    let to = &mut group[part * 16 + pair];
                    for ((to, even), odd) in to.iter_mut().zip(&mut even).zip(&mut odd) {
                        let (first, second) = (round(*even), round(*odd));
                        *to = first >> 16 | second;
                        *even -= f32::from_bits(first);
                        *odd -= f32::from_bits(second);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts_are_the_number() {
        for x in [0.0, 1.0, -1.0, 1.0 / 3.0, std::f32::consts::PI, 1e-20, -7.654_321e30, 16_777_215.0] {
            let sum: f64 = parts(x).iter().map(|bits| f64::from(f32::from_bits(*bits))).sum();
            assert_eq!(sum, f64::from(x));
        }
    }
}
