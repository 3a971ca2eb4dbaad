//! AVX-512 tiles: up to 12 rows by 32 columns held in registers over the whole depth.
//!
//! 24 accumulators, two vectors of weights and one broadcast value fill 27 of the 32 registers; 14 rows would
//! fit too, but the compiler then spills, and 12 already keep both multipliers busy (24 products for 14 loads).

use crate::tile::Operands;
use std::arch::x86_64::*;

/// Writes one tile function for each kind of number, and its dispatcher over the number of rows.
macro_rules! tile {
    ($name:ident, $inner:ident, $features:literal, $zero:expr, $load:ident, $broadcast:ident, $store:ident,
     $number:ident, |$acc:ident, $left:ident, $right:ident| $product:expr) => {
        /// One tile of exactly `R` rows; `U` steps at a time where few rows would wait for each other.
        #[target_feature(enable = $features)]
        unsafe fn $inner<const R: usize, const U: usize>(at: Operands, out: *mut $number, out_stride: usize) {
            let mut sums = [[[$zero; 2]; R]; U];
            let groups: [*const u8; 4] =
                std::array::from_fn(|g| at.left.wrapping_add(3 * g * at.left_stride));
            let mut right = at.right;
            let mut step = 0;
            while step + U <= at.steps {
                for u in 0..U {
                    // SAFETY: the caller gives `steps` steps of both operands for `R` rows.
                    let b = unsafe { [$load(right.cast()), $load(right.add(64).cast())] };
                    right = right.wrapping_add(at.right_stride);
                    for r in 0..R {
                        let from = groups[r / 3].wrapping_add(at.left_stride * (r % 3) + 4 * (step + u));
                        // SAFETY: as above; rows need no alignment.
                        let $left = $broadcast(unsafe { from.cast::<$number>().read_unaligned() });
                        for (c, &$right) in b.iter().enumerate() {
                            let $acc = sums[u][r][c];
                            sums[u][r][c] = $product;
                        }
                    }
                }
                step += U;
            }
            while step < at.steps {
                // SAFETY: as above.
                let b = unsafe { [$load(right.cast()), $load(right.add(64).cast())] };
                right = right.wrapping_add(at.right_stride);
                for r in 0..R {
                    let from = groups[r / 3].wrapping_add(at.left_stride * (r % 3) + 4 * step);
                    // SAFETY: as above.
                    let $left = $broadcast(unsafe { from.cast::<$number>().read_unaligned() });
                    for (c, &$right) in b.iter().enumerate() {
                        let $acc = sums[0][r][c];
                        sums[0][r][c] = $product;
                    }
                }
                step += 1;
            }
            for r in 0..R {
                for c in 0..2 {
                    let mut sum = sums[0][r][c];
                    for more in &sums[1..] {
                        sum = tile!(@add $number, sum, more[r][c]);
                    }
                    // SAFETY: the caller gives room for `R` rows of 32 numbers.
                    unsafe { $store(out.add(r * out_stride + 16 * c).cast(), sum) };
                }
            }
        }

        /// A tile of 1 to 12 rows, written `out_stride` numbers apart.
        ///
        /// # Safety
        /// The processor has the features; both operands hold `steps` steps for `rows` rows; `out` has room.
        pub(crate) unsafe fn $name(rows: usize, at: Operands, out: *mut $number, out_stride: usize) {
            // SAFETY: passed on from this function's contract.
            unsafe {
                match rows {
                    1 => $inner::<1, 6>(at, out, out_stride),
                    2 => $inner::<2, 4>(at, out, out_stride),
                    3 => $inner::<3, 2>(at, out, out_stride),
                    4 => $inner::<4, 2>(at, out, out_stride),
                    5 => $inner::<5, 1>(at, out, out_stride),
                    6 => $inner::<6, 1>(at, out, out_stride),
                    7 => $inner::<7, 1>(at, out, out_stride),
                    8 => $inner::<8, 1>(at, out, out_stride),
                    9 => $inner::<9, 1>(at, out, out_stride),
                    10 => $inner::<10, 1>(at, out, out_stride),
                    11 => $inner::<11, 1>(at, out, out_stride),
                    12 => $inner::<12, 1>(at, out, out_stride),
                    _ => unreachable!("tiles have 1 to 12 rows"),
                }
            }
        }
    };
    (@add f32, $a:expr, $b:expr) => { _mm512_add_ps($a, $b) };
    (@add i32, $a:expr, $b:expr) => { _mm512_add_epi32($a, $b) };
}

tile!(
    tile_f32,
    f32_rows,
    "avx512f",
    _mm512_setzero_ps(),
    _mm512_loadu_ps,
    _mm512_set1_ps,
    _mm512_storeu_ps,
    f32,
    |sum, left, right| _mm512_fmadd_ps(left, right, sum)
);

/// Reads 16 pairs of bf16.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_pairs(from: *const i32) -> __m512i {
    // SAFETY: the caller gives 64 readable bytes.
    unsafe { _mm512_loadu_si512(from.cast()) }
}

/// The bits of a pair of bf16 (read as f32), repeated.
#[inline]
#[target_feature(enable = "avx512f")]
fn broadcast_pair(pair: f32) -> __m512i {
    _mm512_set1_epi32(pair.to_bits().cast_signed())
}

/// `sum + left . right` over pairs of bf16.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn dot_pairs(sum: __m512, left: __m512i, right: __m512i) -> __m512 {
    // SAFETY: both are 64 plain bytes; `__m512bh` has no intrinsic that makes one from integers.
    let (left, right) = unsafe {
        (std::mem::transmute::<__m512i, __m512bh>(left), std::mem::transmute::<__m512i, __m512bh>(right))
    };
    _mm512_dpbf16_ps(sum, left, right)
}

tile!(
    tile_bf16,
    bf16_rows,
    "avx512f,avx512bf16",
    _mm512_setzero_ps(),
    load_pairs,
    broadcast_pair,
    _mm512_storeu_ps,
    f32,
    |sum, left, right| dot_pairs(sum, left, right)
);

tile!(
    tile_int8,
    int8_rows,
    "avx512f,avx512vnni",
    _mm512_setzero_si512(),
    load_pairs,
    _mm512_set1_epi32,
    _mm512_storeu_si512,
    i32,
    |sum, left, right| _mm512_dpbusd_epi32(sum, left, right)
);

/// 16 numbers as bf16, to nearest, ties to even; subnormal numbers become zero.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
fn bf16_from_f32_lines(from: &[f32], to: &mut [u16]) {
    let count = from.len().min(to.len());
    let mut at = 0;
    while at < count {
        let lanes = (count - at).min(16);
        let mask = 0xffff_u16 >> (16 - lanes);
        // SAFETY: the mask keeps both accesses inside the slices.
        unsafe {
            let values = _mm512_maskz_loadu_ps(mask, from.as_ptr().add(at));
            let halves = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(values));
            _mm256_mask_storeu_epi16(to.as_mut_ptr().add(at).cast(), mask, halves);
        }
        at += 16;
    }
}

/// Converts numbers to bf16, to nearest, ties to even.
///
/// # Safety
/// The processor has AVX-512 with BF16.
pub(crate) unsafe fn bf16_from_f32(from: &[f32], to: &mut [u16]) {
    // SAFETY: passed on from this function's contract.
    unsafe { bf16_from_f32_lines(from, to) }
}

/// Splits a row into `parts` bf16 parts, 32 numbers at a time; `to` has 32 halves of each part for each 32
/// numbers begun.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
fn split_row_lines(from: &[f32], to: &mut [u16], parts: usize) {
    for (line, group) in from.chunks(32).zip(to.chunks_exact_mut(32 * parts)) {
        for half in 0..2 {
            let lanes = line.len().saturating_sub(16 * half).min(16);
            let mask = ((1_u32 << lanes) - 1) as u16;
            // SAFETY: the mask keeps the load inside the line.
            let mut rest = unsafe { _mm512_maskz_loadu_ps(mask, line.as_ptr().wrapping_add(16 * half)) };
            for part in 0..parts {
                // SAFETY: both are 32 plain bytes.
                let bits = unsafe { std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(rest)) };
                let value = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)));
                rest = _mm512_sub_ps(rest, value);
                // SAFETY: 16 halves from here on lie in the group of 32 for each part.
                unsafe { _mm256_storeu_si256(group.as_mut_ptr().add(32 * part + 16 * half).cast(), bits) };
            }
        }
    }
}

/// Splits a row into bf16 parts (see `split`).
///
/// # Safety
/// The processor has AVX-512 with BF16.
pub(crate) unsafe fn split_row(from: &[f32], to: &mut [u16], parts: usize) {
    // SAFETY: passed on from this function's contract.
    unsafe { split_row_lines(from, to, parts) }
}

/// One tile of exactly `R` rows, whose right side lies at offsets from `input`.
#[target_feature(enable = "avx512f")]
unsafe fn rows_at_offsets<const R: usize>(
    (weight, stride): (*const f32, usize),
    input: *const f32,
    offsets: &[u32],
    out: *mut f32,
) {
    let mut sums = [[_mm512_setzero_ps(); 2]; R];
    let groups: [*const f32; 4] = std::array::from_fn(|g| weight.wrapping_add(3 * g * stride));
    for (step, offset) in offsets.iter().enumerate() {
        // SAFETY: the caller gives 32 numbers at each offset, and `R` rows of the weight.
        unsafe {
            let from = input.add(*offset as usize);
            let right = [_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(16))];
            for r in 0..R {
                let left = _mm512_set1_ps(*groups[r / 3].add(r % 3 * stride + step));
                for c in 0..2 {
                    sums[r][c] = _mm512_fmadd_ps(left, right[c], sums[r][c]);
                }
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        for (c, sum) in sums.iter().enumerate() {
            // SAFETY: the caller gives room for `R` rows of 32 numbers.
            unsafe { _mm512_storeu_ps(out.add(32 * r + 16 * c), *sum) };
        }
    }
}

/// A tile of 1 to 12 rows of a weight by 32 columns that lie at offsets from `input`.
///
/// # Safety
/// The processor has AVX-512; `weight` has `rows` rows that far apart, a number for each offset;
/// `input` has 32 numbers at each offset.
pub(crate) unsafe fn tile_at_offsets(
    weight: (*const f32, usize),
    rows: usize,
    input: *const f32,
    offsets: &[u32],
    tile: &mut crate::epilogue::Tile,
) {
    let out = tile.0.as_mut_ptr();
    // SAFETY: passed on from this function's contract; a tile has room for 32 rows.
    unsafe {
        match rows {
            1 => rows_at_offsets::<1>(weight, input, offsets, out),
            2 => rows_at_offsets::<2>(weight, input, offsets, out),
            3 => rows_at_offsets::<3>(weight, input, offsets, out),
            4 => rows_at_offsets::<4>(weight, input, offsets, out),
            5 => rows_at_offsets::<5>(weight, input, offsets, out),
            6 => rows_at_offsets::<6>(weight, input, offsets, out),
            7 => rows_at_offsets::<7>(weight, input, offsets, out),
            8 => rows_at_offsets::<8>(weight, input, offsets, out),
            9 => rows_at_offsets::<9>(weight, input, offsets, out),
            10 => rows_at_offsets::<10>(weight, input, offsets, out),
            11 => rows_at_offsets::<11>(weight, input, offsets, out),
            12 => rows_at_offsets::<12>(weight, input, offsets, out),
            _ => unreachable!("tiles have 1 to 12 rows"),
        }
    }
}
