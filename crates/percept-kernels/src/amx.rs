//! AMX tiles: 32 rows by 32 columns in four tile registers, written in assembly because Rust's intrinsics
//! for them are not stable yet.
//!
//! The left side is rows of 64 bytes (32 bf16 or 64 bytes of int8) a step, the right side 16 groups of 32
//! columns of four bytes a step, the same layout as the AVX-512 dot products read.

use crate::tile::Operands;
use std::arch::asm;

/// The tile registers, set up for this thread until dropped.
pub(crate) struct Tiles(());

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
        // SAFETY: the layout is valid (palette 1), and by contract the instruction exists.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const LAYOUT, options(nostack, readonly, preserves_flags))
        };
        Self(())
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // Leaves the state in its initial form, which makes context switches cheap again.
        // SAFETY: `new` has run on this thread (`Tiles` is neither `Send` in practice nor stored).
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

/// Writes a tile function for one dot-product instruction.
macro_rules! tile {
    ($name:ident, $dot:literal) => {
        /// 32 x 32 numbers into `out` (32 numbers a row); `rows` up to 16 leave the lower half unwritten.
        ///
        /// # Safety
        /// `Tiles` is set up on this thread. The left side holds 64 bytes a step for 16 rows (32 rows if `rows`
        /// is above 16), the right side 16 groups of 128 bytes a step, `steps` of them; `out` has 1024 numbers.
        pub(crate) unsafe fn $name(_: &Tiles, rows: usize, at: Operands, out: *mut u8) {
            debug_assert!(at.steps > 0);
            if rows > 16 {
                // SAFETY: by this function's contract; the tile registers hold nothing of the compiler's.
                unsafe {
                    asm!(
                        "tilezero tmm0",
                        "tilezero tmm1",
                        "tilezero tmm2",
                        "tilezero tmm3",
                        "2:",
                        "tileloadd tmm4, [{a} + {sa}]",
                        "tileloadd tmm6, [{b} + {sb}]",
                        concat!($dot, " tmm0, tmm4, tmm6"),
                        "tileloadd tmm7, [{b} + {sb} + 64]",
                        concat!($dot, " tmm1, tmm4, tmm7"),
                        "tileloadd tmm5, [{a2} + {sa}]",
                        concat!($dot, " tmm2, tmm5, tmm6"),
                        concat!($dot, " tmm3, tmm5, tmm7"),
                        "add {a}, 64",
                        "add {a2}, 64",
                        "add {b}, 2048",
                        "dec {steps}",
                        "jnz 2b",
                        "tilestored [{out} + {sb}], tmm0",
                        "tilestored [{out} + {sb} + 64], tmm1",
                        "tilestored [{out} + {sb} + 2048], tmm2",
                        "tilestored [{out} + {sb} + 2112], tmm3",
                        a = inout(reg) at.left => _,
                        a2 = inout(reg) at.left.wrapping_add(16 * at.left_stride) => _,
                        b = inout(reg) at.right => _,
                        sa = in(reg) at.left_stride,
                        sb = in(reg) 128_usize,
                        steps = inout(reg) at.steps => _,
                        out = in(reg) out,
                        options(nostack),
                    );
                }
            } else {
                // SAFETY: as above.
                unsafe {
                    asm!(
                        "tilezero tmm0",
                        "tilezero tmm1",
                        "2:",
                        "tileloadd tmm4, [{a} + {sa}]",
                        "tileloadd tmm6, [{b} + {sb}]",
                        concat!($dot, " tmm0, tmm4, tmm6"),
                        "tileloadd tmm7, [{b} + {sb} + 64]",
                        concat!($dot, " tmm1, tmm4, tmm7"),
                        "add {a}, 64",
                        "add {b}, 2048",
                        "dec {steps}",
                        "jnz 2b",
                        "tilestored [{out} + {sb}], tmm0",
                        "tilestored [{out} + {sb} + 64], tmm1",
                        a = inout(reg) at.left => _,
                        b = inout(reg) at.right => _,
                        sa = in(reg) at.left_stride,
                        sb = in(reg) 128_usize,
                        steps = inout(reg) at.steps => _,
                        out = in(reg) out,
                        options(nostack),
                    );
                }
            }
        }
    };
}

tile!(tile_bf16, "tdpbf16ps");
tile!(tile_int8, "tdpbusd");
