//! One tile of a matrix product on any instruction set, and the plain versions.
//!
//! All kinds of numbers share one shape: a step reads four bytes of each row on the left (one f32, two bf16,
//! four int8) and four bytes of each of 32 columns on the right.

use crate::epilogue::{COLUMNS, Tile};
use crate::isa::Isa;
use crate::math::{mul_add, per_isa};
use crate::split::Parts;

/// Where a tile's operands lie. Rows of the left side are `left_stride` bytes apart and read four bytes a
/// step; the right side gives 32 columns of four bytes a step, `right_stride` bytes apart.
#[derive(Clone, Copy)]
pub(crate) struct Operands {
    pub(crate) left: *const u8,
    pub(crate) left_stride: usize,
    pub(crate) right: *const u8,
    pub(crate) right_stride: usize,
    pub(crate) steps: usize,
    /// Whether AMX tiles add to what the output holds.
    pub(crate) resume: bool,
    /// Where AMX tiles prefetch from while they compute; any address.
    pub(crate) ahead: *const u8,
}

/// What a step's four bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// One f32 on both sides.
    F32,
    /// Two bf16 on both sides.
    Bf16,
    /// f32 in bf16 parts on both sides (see `split`); AMX only.
    Split(Parts),
    /// Four unsigned bytes on the left, signed ones on the right.
    Int8,
}

/// Up to this many rows AMX would mostly multiply padding, and the work is bound by memory anyway.
pub(crate) const AMX_ROWS: usize = 8;

/// Which code computes tiles, with what it needs on this thread.
pub(crate) enum Engine {
    /// AMX; the registers are set up.
    #[cfg(target_arch = "x86_64")]
    Amx(crate::amx::Tiles),
    /// AVX-512 vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// [`per_isa`] code.
    Plain(Isa),
}

/// The kind of [`Engine`] for these numbers, before it is set up on a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Amx,
    Avx512,
    Plain(Isa),
}

impl Kind {
    /// The fastest for `rows` rows in all.
    pub(crate) fn choose(isa: Isa, numbers: Numbers, rows: usize) -> Self {
        match numbers {
            _ if cfg!(not(target_arch = "x86_64")) => Self::Plain(isa),
            Numbers::F32 if isa >= Isa::Avx512 => Self::Avx512,
            Numbers::Split(_) => Self::Amx,
            Numbers::Bf16 | Numbers::Int8 if isa >= Isa::Amx && rows > AMX_ROWS => Self::Amx,
            Numbers::Bf16 | Numbers::Int8 if isa >= Isa::Avx512Vnni => Self::Avx512,
            _ => Self::Plain(isa),
        }
    }

    /// Bytes that a tile of `steps` steps fetches from `ahead`.
    pub(crate) fn fetched(self, numbers: Numbers, steps: usize) -> usize {
        #[cfg(target_arch = "x86_64")]
        if self == Self::Amx {
            let each = match numbers {
                Numbers::Split(Parts::Three) => crate::amx::AHEAD_SPLIT,
                Numbers::Split(Parts::Two) => crate::amx::AHEAD_PAIR,
                _ => crate::amx::AHEAD,
            };
            return each * steps;
        }
        let _ = (numbers, steps);
        0
    }

    /// Rows of one tile at most.
    pub(crate) fn rows(self) -> usize {
        match self {
            Self::Amx => 32,
            Self::Avx512 | Self::Plain(_) => 12,
        }
    }

    /// Sets the engine up on this thread.
    ///
    /// # Safety
    /// The processor has what the kind needs; [`Kind::choose`] with an [`Isa`] from this crate sees to it.
    pub(crate) unsafe fn start(self) -> Engine {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: passed on from this function's contract.
            Self::Amx => Engine::Amx(unsafe { crate::amx::Tiles::new() }),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Engine::Avx512,
            #[cfg(not(target_arch = "x86_64"))]
            Self::Amx | Self::Avx512 => Engine::Plain(Isa::Portable),
            Self::Plain(isa) => Engine::Plain(isa),
        }
    }
}

impl Engine {
    /// Computes a tile: f32 sums, or the bits of i32 sums for int8.
    ///
    /// # Safety
    /// The operands hold `at.steps` steps (for AMX: 16 `at.steps` steps, and rows up to the next multiple of
    /// 16); `rows` is within the kind's limit.
    pub(crate) unsafe fn tile(&self, numbers: Numbers, rows: usize, at: Operands, tile: &mut Tile) {
        // SAFETY: passed on from this function's contract; a tile has room for 32 x 32 numbers.
        unsafe { self.rows(numbers, rows, at, &mut tile.0, COLUMNS) }
    }

    /// The same into rows of 32 numbers, `stride` numbers apart.
    ///
    /// # Safety
    /// As for [`Engine::tile`]; `to` has room for `rows` such rows, for AMX up to the next multiple of 16, and
    /// for 32 where it resumes.
    pub(crate) unsafe fn rows(
        &self,
        numbers: Numbers,
        rows: usize,
        at: Operands,
        to: &mut [f32],
        stride: usize,
    ) {
        let out = to.as_mut_ptr();
        // SAFETY: passed on from this function's contract.
        unsafe {
            match (self, numbers) {
                #[cfg(target_arch = "x86_64")]
                (Self::Amx(tiles), Numbers::Bf16) => {
                    crate::amx::tile_bf16(tiles, rows, at, out.cast(), 4 * stride)
                }
                #[cfg(target_arch = "x86_64")]
                (Self::Amx(tiles), Numbers::Split(Parts::Two)) => {
                    crate::amx::tile_pair(tiles, rows, at, out.cast(), 4 * stride);
                }
                #[cfg(target_arch = "x86_64")]
                (Self::Amx(tiles), Numbers::Split(Parts::Three)) => {
                    crate::amx::tile_split(tiles, rows, at, out.cast(), 4 * stride)
                }
                #[cfg(target_arch = "x86_64")]
                (Self::Amx(tiles), Numbers::Int8) => {
                    crate::amx::tile_int8(tiles, rows, at, out.cast(), 4 * stride)
                }
                #[cfg(target_arch = "x86_64")]
                (Self::Amx(_) | Self::Avx512, Numbers::F32) => {
                    crate::tile_avx512::tile_f32(rows, at, out, stride);
                }
                #[cfg(target_arch = "x86_64")]
                (Self::Avx512, Numbers::Bf16) => crate::tile_avx512::tile_bf16(rows, at, out, stride),
                #[cfg(target_arch = "x86_64")]
                (Self::Avx512, Numbers::Int8) => crate::tile_avx512::tile_int8(rows, at, out.cast(), stride),
                #[cfg(target_arch = "x86_64")]
                (Self::Avx512, Numbers::Split(_)) => unreachable!("split numbers are for AMX"),
                (Self::Plain(isa), _) => plain(*isa, numbers, rows, at, to, stride),
            }
        }
    }
}

per_isa! {
    /// The plain tile; only called under [`Engine::tile`]'s contract.
    fn plain(numbers: Numbers, rows: usize, at: Operands, to: &mut [f32], stride: usize) {
        for (half, right) in [(0, at.right), (1, at.right.wrapping_add(64))] {
            let mut row = 0;
            while row < rows {
                let at = Operands { left: at.left.wrapping_add(row * at.left_stride), right, ..at };
                let out = &mut to[row * stride + 16 * half..];
                row += match rows - row {
                    6.. => block::<6, FMA>(numbers, at, out, stride),
                    3..=5 => block::<3, FMA>(numbers, at, out, stride),
                    _ => block::<1, FMA>(numbers, at, out, stride),
                };
            }
        }
    }
}

/// `R` rows by 16 columns, `stride` apart; answers `R`.
#[inline(always)]
fn block<const R: usize, const FMA: bool>(
    numbers: Numbers,
    at: Operands,
    out: &mut [f32],
    stride: usize,
) -> usize {
    // SAFETY: `plain` is only called under the contract of `Engine::tile`, so that `steps` steps of four
    // bytes a row and 64 bytes of columns can be read.
    let left = |row: usize, step: usize| unsafe {
        at.left.wrapping_add(row * at.left_stride + 4 * step).cast::<[u8; 4]>().read()
    };
    // SAFETY: as above.
    let right =
        |step: usize| unsafe { at.right.wrapping_add(step * at.right_stride).cast::<[[u8; 4]; 16]>().read() };
    let bf16 = |low: u8, high: u8| f32::from_bits(u32::from_le_bytes([0, 0, low, high]));
    match numbers {
        Numbers::F32 => {
            let mut sums = [[0.0_f32; 16]; R];
            for step in 0..at.steps {
                let b = right(step).map(f32::from_le_bytes);
                for (r, sums) in sums.iter_mut().enumerate() {
                    let a = f32::from_le_bytes(left(r, step));
                    for (sum, b) in sums.iter_mut().zip(&b) {
                        *sum = mul_add::<FMA>(a, *b, *sum);
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                out[r * stride..r * stride + 16].copy_from_slice(sums);
            }
        }
        Numbers::Bf16 => {
            let mut sums = [[0.0_f32; 16]; R];
            for step in 0..at.steps {
                let b = right(step).map(u32::from_le_bytes);
                for (r, sums) in sums.iter_mut().enumerate() {
                    let [a0, a1, a2, a3] = left(r, step);
                    let (even, odd) = (bf16(a0, a1), bf16(a2, a3));
                    for (sum, b) in sums.iter_mut().zip(&b) {
                        *sum = mul_add::<FMA>(even, f32::from_bits(b << 16), *sum);
                        *sum = mul_add::<FMA>(odd, f32::from_bits(b & 0xffff_0000), *sum);
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                out[r * stride..r * stride + 16].copy_from_slice(sums);
            }
        }
        Numbers::Split(_) => unreachable!("split numbers are for AMX"),
        Numbers::Int8 => {
            let mut sums = [[0_i32; 16]; R];
            for step in 0..at.steps {
                let b = right(step).map(i32::from_le_bytes);
                for (r, sums) in sums.iter_mut().enumerate() {
                    let a = left(r, step).map(i32::from);
                    for (sum, b) in sums.iter_mut().zip(&b) {
                        *sum += a[0] * ((b << 24) >> 24)
                            + a[1] * ((b << 16) >> 24)
                            + a[2] * ((b << 8) >> 24)
                            + a[3] * (b >> 24);
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (out, sum) in out[r * stride..r * stride + 16].iter_mut().zip(sums) {
                    *out = f32::from_bits(sum.cast_unsigned());
                }
            }
        }
    }
    R
}
