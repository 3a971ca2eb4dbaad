//! AMX tiles: 32 rows by 32 columns in four tile registers, written in assembly because Rust's intrinsics
//! for them are not stable yet.
//!
//! The left side is rows of 64 bytes (32 bf16 or 64 bytes of int8) a step, the right side 16 groups of 32
//! columns of four bytes a step, the same layout as the AVX-512 dot products read.

use crate::tile::Operands;
use std::arch::asm;
use std::cell::Cell;
use std::marker::PhantomData;

/// The tile registers, set up for this thread until the last one is dropped. Not `Send`.
pub(crate) struct Tiles(PhantomData<*const ()>);

thread_local! {
    /// How many there are on this thread.
    static USERS: Cell<usize> = const { Cell::new(0) };
}

#[repr(C, align(64))]
struct Layout([u8; 64]);

/// All eight registers with 16 rows of 64 bytes.
static LAYOUT: Layout = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut register = 0;
    while register < 8 {
        bytes[16 + 2 * register] = 64;
        bytes[48 + register] = 16;
        register += 1;
    }
    Layout(bytes)
};

impl Tiles {
    /// Sets up this thread's tile registers.
    ///
    /// # Safety
    /// The processor has AMX and the kernel has granted it.
    pub(crate) unsafe fn new() -> Self {
        if USERS.replace(USERS.get() + 1) == 0 {
            // SAFETY: the layout is valid (palette 1), and by contract the instruction exists.
            unsafe {
                asm!("ldtilecfg [{}]", in(reg) &raw const LAYOUT, options(nostack, readonly, preserves_flags))
            };
        }
        Self(PhantomData)
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        USERS.set(USERS.get() - 1);
        if USERS.get() == 0 {
            // Leaves the state in its initial form, which makes context switches cheap again.
            // SAFETY: `new` has run on this thread, which `Tiles` does not leave.
            unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
        }
    }
}

/// Brings some of what comes next into the second-level cache. Tile loads do not train the hardware's
/// prefetcher well: without this, weights that come from the third level arrive at 10 GB/s.
macro_rules! fetch_ahead {
    (512) => {
        concat!(
            "prefetcht1 [{ahead}]\n",
            "prefetcht1 [{ahead} + 64]\n",
            "prefetcht1 [{ahead} + 128]\n",
            "prefetcht1 [{ahead} + 192]\n",
            "prefetcht1 [{ahead} + 256]\n",
            "prefetcht1 [{ahead} + 320]\n",
            "prefetcht1 [{ahead} + 384]\n",
            "prefetcht1 [{ahead} + 448]\n",
            "add {ahead}, 512"
        )
    };
}

/// Sets the four sums to zero, or to what `out` holds.
///
/// # Safety
/// Tiles are set up on this thread; `out` has 32 rows of 32 numbers.
#[inline]
unsafe fn begin(resume: bool, out: *const u8, stride: usize) {
    // SAFETY: by this function's contract; the compiler uses no tile registers, so they keep their values
    // until the next block of assembly.
    unsafe {
        if resume {
            asm!(
                "tileloadd tmm0, [{out} + {stride}]",
                "tileloadd tmm1, [{out} + {stride} + 64]",
                "tileloadd tmm2, [{lower} + {stride}]",
                "tileloadd tmm3, [{lower} + {stride} + 64]",
                out = in(reg) out,
                lower = in(reg) out.wrapping_add(16 * stride),
                stride = in(reg) stride,
                options(nostack, readonly, preserves_flags),
            );
        } else {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                options(nostack, nomem, preserves_flags),
            );
        }
    }
}

/// Bytes fetched ahead in a step of the plain tiles.
pub(crate) const AHEAD: usize = 512;
/// Bytes fetched ahead in a step of the split tile of three parts.
pub(crate) const AHEAD_SPLIT: usize = 6 * 512;
/// Bytes fetched ahead in a step of the split tile of two parts.
pub(crate) const AHEAD_PAIR: usize = 4 * 512;

/// Writes a tile function for one dot-product instruction.
macro_rules! tile {
    ($name:ident, $dot:literal) => {
        /// 32 x 32 numbers into `out` (rows `stride` bytes apart); `rows` up to 16 leave the lower half unwritten.
        ///
        /// # Safety
        /// `Tiles` is set up on this thread. The left side holds 64 bytes a step for 16 rows (32 rows if `rows`
        /// is above 16), the right side 16 groups of 128 bytes a step, `steps` of them; `out` has 16 or 32 rows of 32 numbers.
        pub(crate) unsafe fn $name(_: &Tiles, rows: usize, at: Operands, out: *mut u8, stride: usize) {
            debug_assert!(at.steps > 0);
            // SAFETY: passed on from this function's contract.
            unsafe { begin(at.resume, out, stride) };
            if rows > 16 {
                // SAFETY: by this function's contract; the tile registers hold nothing of the compiler's.
                unsafe {
                    asm!(
                        "2:",
                        "tileloadd tmm4, [{a} + {sa}]",
                        "tileloadd tmm6, [{b} + {sb}]",
                        concat!($dot, " tmm0, tmm4, tmm6"),
                        "tileloadd tmm7, [{b} + {sb} + 64]",
                        concat!($dot, " tmm1, tmm4, tmm7"),
                        fetch_ahead!(512),
                        "tileloadd tmm5, [{a2} + {sa}]",
                        concat!($dot, " tmm2, tmm5, tmm6"),
                        concat!($dot, " tmm3, tmm5, tmm7"),
                        "add {a}, 64",
                        "add {a2}, 64",
                        "add {b}, 2048",
                        "dec {steps}",
                        "jnz 2b",
                        "tilestored [{out} + {so}], tmm0",
                        "tilestored [{out} + {so} + 64], tmm1",
                        "tilestored [{lower} + {so}], tmm2",
                        "tilestored [{lower} + {so} + 64], tmm3",
                        a = inout(reg) at.left => _,
                        ahead = inout(reg) at.ahead => _,
                        a2 = inout(reg) at.left.wrapping_add(16 * at.left_stride) => _,
                        b = inout(reg) at.right => _,
                        sa = in(reg) at.left_stride,
                        sb = in(reg) 128_usize,
                        steps = inout(reg) at.steps => _,
                        out = in(reg) out,
                        lower = in(reg) out.wrapping_add(16 * stride),
                        so = in(reg) stride,
                        options(nostack),
                    );
                }
            } else {
                // SAFETY: as above.
                unsafe {
                    asm!(
                        "2:",
                        "tileloadd tmm4, [{a} + {sa}]",
                        "tileloadd tmm6, [{b} + {sb}]",
                        concat!($dot, " tmm0, tmm4, tmm6"),
                        "tileloadd tmm7, [{b} + {sb} + 64]",
                        concat!($dot, " tmm1, tmm4, tmm7"),
                        fetch_ahead!(512),
                        "add {a}, 64",
                        "add {b}, 2048",
                        "dec {steps}",
                        "jnz 2b",
                        "tilestored [{out} + {so}], tmm0",
                        "tilestored [{out} + {so} + 64], tmm1",
                        a = inout(reg) at.left => _,
                        ahead = inout(reg) at.ahead => _,
                        b = inout(reg) at.right => _,
                        sa = in(reg) at.left_stride,
                        sb = in(reg) 128_usize,
                        steps = inout(reg) at.steps => _,
                        out = in(reg) out,
                        so = in(reg) stride,
                        options(nostack),
                    );
                }
            }
        }
    };
}

/// The multiplications of one pair of loaded sides, for 32 or 16 rows.
macro_rules! multiply {
    (32) => {
        concat!(
            "tdpbf16ps tmm0, tmm4, tmm6\n",
            "tdpbf16ps tmm1, tmm4, tmm7\n",
            "tdpbf16ps tmm2, tmm5, tmm6\n",
            "tdpbf16ps tmm3, tmm5, tmm7"
        )
    };
    (16) => {
        concat!("tdpbf16ps tmm0, tmm4, tmm6\n", "tdpbf16ps tmm1, tmm4, tmm7")
    };
}

/// Loads the left side's part at a byte offset, for 32 or 16 rows.
macro_rules! load_left {
    (32, $offset:literal) => {
        concat!(
            "tileloadd tmm4, [{a} + {sa} + ",
            $offset,
            "]\n",
            "tileloadd tmm5, [{a2} + {sa} + ",
            $offset,
            "]"
        )
    };
    (16, $offset:literal) => {
        concat!("tileloadd tmm4, [{a} + {sa} + ", $offset, "]")
    };
}

/// Loads the right side's part at a byte offset.
macro_rules! load_right {
    ($offset:literal) => {
        concat!(
            "tileloadd tmm6, [{b} + {sb} + ",
            $offset,
            "]\n",
            "tileloadd tmm7, [{b} + {sb} + ",
            $offset,
            " + 64]"
        )
    };
}

/// Writes a split-f32 tile: the assembly of one step, and its bytes on the left and on the right.
macro_rules! tile_split {
    ($name:ident, $left_step:literal, $right_step:literal, $($line:expr),* $(,)?) => {
        #[inline]
        unsafe fn $name(at: Operands, out: *mut u8, stride: usize) {
            // SAFETY: by the contract of `tile_split` and `tile_pair`.
            unsafe {
                asm!(
                    "2:",
                    $($line,)*
                    concat!("add {a}, ", $left_step),
                    concat!("add {a2}, ", $left_step),
                    concat!("add {b}, ", $right_step),
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{out} + {so}], tmm0",
                    "tilestored [{out} + {so} + 64], tmm1",
                    "tilestored [{lower} + {so}], tmm2",
                    "tilestored [{lower} + {so} + 64], tmm3",
                    a = inout(reg) at.left => _,
                    ahead = inout(reg) at.ahead => _,
                    a2 = inout(reg) at.left.wrapping_add(16 * at.left_stride) => _,
                    b = inout(reg) at.right => _,
                    sa = in(reg) at.left_stride,
                    sb = in(reg) 128_usize,
                    steps = inout(reg) at.steps => _,
                    out = in(reg) out,
                    lower = in(reg) out.wrapping_add(16 * stride),
                    so = in(reg) stride,
                    options(nostack),
                );
            }
        }
    };
}

/// Six products of three parts, the smallest first.
macro_rules! three_parts {
    ($name:ident, $rows:tt) => {
        tile_split!(
            $name,
            "192",
            "6144",
            load_right!("0"),
            load_left!($rows, "128"),
            multiply!($rows), // low . high
            fetch_ahead!(512),
            load_left!($rows, "64"),
            multiply!($rows), // middle . high
            fetch_ahead!(512),
            load_left!($rows, "0"),
            multiply!($rows), // high . high
            fetch_ahead!(512),
            load_right!("4096"),
            multiply!($rows), // high . low
            fetch_ahead!(512),
            load_right!("2048"),
            multiply!($rows), // high . middle
            fetch_ahead!(512),
            load_left!($rows, "64"),
            multiply!($rows), // middle . middle
            fetch_ahead!(512),
        );
    };
}

/// Three products of two parts.
macro_rules! two_parts {
    ($name:ident, $rows:tt) => {
        tile_split!(
            $name,
            "128",
            "4096",
            load_right!("0"),
            load_left!($rows, "64"),
            multiply!($rows), // low . high
            fetch_ahead!(512),
            fetch_ahead!(512),
            load_left!($rows, "0"),
            multiply!($rows), // high . high
            fetch_ahead!(512),
            load_right!("2048"),
            multiply!($rows), // high . low
            fetch_ahead!(512),
        );
    };
}

three_parts!(split_32, 32);
three_parts!(split_16, 16);
two_parts!(pair_32, 32);
two_parts!(pair_16, 16);

/// A tile of f32 products, each number in three bf16 parts (see `split`).
///
/// # Safety
/// As for the other tiles, with 192 bytes a step on the left (three parts) and 6144 on the right.
pub(crate) unsafe fn tile_split(_: &Tiles, rows: usize, at: Operands, out: *mut u8, stride: usize) {
    debug_assert!(at.steps > 0);
    // SAFETY: passed on from this function's contract.
    unsafe {
        begin(at.resume, out, stride);
        if rows > 16 { split_32(at, out, stride) } else { split_16(at, out, stride) }
    }
}

/// A tile of f32 products, each number in two bf16 parts (see `split`).
///
/// # Safety
/// As for the other tiles, with 128 bytes a step on the left (two parts) and 4096 on the right.
pub(crate) unsafe fn tile_pair(_: &Tiles, rows: usize, at: Operands, out: *mut u8, stride: usize) {
    debug_assert!(at.steps > 0);
    // SAFETY: passed on from this function's contract.
    unsafe {
        begin(at.resume, out, stride);
        if rows > 16 { pair_32(at, out, stride) } else { pair_16(at, out, stride) }
    }
}

tile!(tile_bf16, "tdpbf16ps");
tile!(tile_int8, "tdpbusd");
