//! f32 as the sum of three bf16, so that AMX can multiply f32.
//!
//! A bf16 has 8 significant bits, an f32 has 24: `x = high + middle + low` exactly (but for numbers below
//! 1e-33, whose last bits are lost). Of the nine products of two such sums, the six that reach f32's own
//! precision are added; the others are below 2^-26 of the product. AMX multiplies bf16 16 times as fast as
//! AVX-512 multiplies f32, so six products still win clearly. A product of non-finite numbers gives NaN.

use crate::epilogue::COLUMNS;
use crate::isa::Isa;
use crate::math::per_isa;

/// Parts of a number.
pub(crate) const PARTS: usize = 3;

/// Input channels with padding to whole AMX steps.
pub(crate) fn padded(depth: usize) -> usize {
    depth.next_multiple_of(32)
}

/// Bytes of a split row of `depth` numbers: for each 32 numbers, 64 bytes of each part.
pub(crate) fn row_bytes(depth: usize) -> usize {
    padded(depth) * 6
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
pub(crate) fn split_row(isa: Isa, from: &[f32], to: &mut [u16]) {
    #[cfg(target_arch = "x86_64")]
    if isa >= Isa::Avx512Vnni {
        // SAFETY: an `Isa` of this level exists only where the processor has the instructions.
        return unsafe { crate::tile_avx512::split_row(from, to) };
    }
    split_row_plain(isa, from, to);
}

per_isa! {
    fn split_row_plain(from: &[f32], to: &mut [u16]) {
        let (lines, rest) = from.as_chunks::<32>();
        let (groups, _) = to.as_chunks_mut::<96>();
        for (line, group) in lines.iter().zip(groups.iter_mut()) {
            split_line(line, group);
        }
        if let (false, Some(group)) = (rest.is_empty(), groups.get_mut(lines.len())) {
            let mut line = [0.0; 32];
            line[..rest.len()].copy_from_slice(rest);
            split_line(&line, group);
        }
    }
}

#[inline(always)]
fn split_line(line: &[f32; 32], group: &mut [u16; 96]) {
    let split = line.map(parts);
    for part in 0..3 {
        for (to, parts) in group[32 * part..32 * part + 32].iter_mut().zip(&split) {
            *to = (parts[part] >> 16) as u16;
        }
    }
}

per_isa! {
    /// Splits a panel `[depth][32]` for the right side: for each 32 numbers deep, three parts of 16 lines of
    /// 32 pairs.
    pub(crate) fn split_panel(from: &[f32], to: &mut [u32]) {
        let depth = from.len() / COLUMNS;
        let zeros = [0.0; COLUMNS];
        let line = |p: usize| if p < depth { &from[p * COLUMNS..(p + 1) * COLUMNS] } else { &zeros[..] };
        for (step, group) in to.chunks_exact_mut(3 * 16 * COLUMNS).enumerate() {
            for pair in 0..16 {
                let p = 32 * step + 2 * pair;
                let (even, odd) = (line(p), line(p + 1));
                for c in 0..COLUMNS {
                    let (even, odd) = (parts(even[c]), parts(odd[c]));
                    for part in 0..3 {
                        group[(part * 16 + pair) * COLUMNS + c] = even[part] >> 16 | odd[part];
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
