//! Which instructions this processor has, and which of them are used.

use std::cell::Cell;
use std::sync::OnceLock;

/// An instruction set level; each one includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// What the compiler makes of plain Rust (SSE2 on x86-64, NEON on aarch64).
    Portable,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// AVX-512 with the BF16 and VNNI dot products.
    Avx512Vnni,
    /// AMX tiles for bf16 and int8 (Linux grants them to the process on request).
    Amx,
}

impl Isa {
    /// All levels, lowest first.
    pub const ALL: [Self; 5] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Vnni, Self::Amx];

    /// The name that `PERCEPT_ISA` takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512-vnni",
            Self::Amx => "amx",
        }
    }

    /// The level of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|isa| isa.name().eq_ignore_ascii_case(name.trim()))
    }
}

thread_local! {
    static FORCED: Cell<Option<Isa>> = const { Cell::new(None) };
}

/// The best level of this processor, whatever `PERCEPT_ISA` says.
#[must_use]
pub fn detected() -> Isa {
    static DETECTED: OnceLock<Isa> = OnceLock::new();
    *DETECTED.get_or_init(detect)
}

/// The level in use: `PERCEPT_ISA` where it names a level that the processor has, else the best one.
///
/// Kernels read it on the calling thread and hand it to their workers.
#[must_use]
pub fn isa() -> Isa {
    static CHOSEN: OnceLock<Isa> = OnceLock::new();
    if let Some(forced) = FORCED.get() {
        return forced;
    }
    *CHOSEN.get_or_init(|| {
        let wanted = std::env::var("PERCEPT_ISA").ok().and_then(|name| Isa::from_name(&name));
        wanted.unwrap_or(Isa::Amx).min(detected())
    })
}

/// Runs `work` with kernels called on this thread limited to `level` (or to the processor's best, if lower).
///
/// For tests and measurements; `work` must not be moved to another thread by a pool.
pub fn with_isa<R>(level: Isa, work: impl FnOnce() -> R) -> R {
    struct Restore(Option<Isa>);
    impl Drop for Restore {
        fn drop(&mut self) {
            FORCED.set(self.0);
        }
    }
    let _restore = Restore(FORCED.replace(Some(level.min(detected()))));
    work()
}

/// The levels that this processor has, lowest first.
#[must_use]
pub fn available() -> Vec<Isa> {
    Isa::ALL.into_iter().filter(|level| *level <= detected()).collect()
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Isa {
    use std::arch::is_x86_feature_detected as has;
    if !(has!("avx2") && has!("fma")) {
        return Isa::Portable;
    }
    if !(has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl")) {
        return Isa::Avx2;
    }
    if !(has!("avx512bf16") && has!("avx512vnni")) {
        return Isa::Avx512;
    }
    if !(amx_present() && amx_granted()) {
        return Isa::Avx512Vnni;
    }
    Isa::Amx
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Isa {
    Isa::Portable
}

/// Whether the processor has AMX with bf16 and int8, and the kernel saves its registers.
#[cfg(target_arch = "x86_64")]
fn amx_present() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

    #[target_feature(enable = "xsave")]
    fn enabled_state() -> u64 {
        // SAFETY: the caller has seen OSXSAVE, so XGETBV of register 0 exists.
        unsafe { _xgetbv(0) }
    }

    const BF16: u32 = 1 << 22;
    const TILE: u32 = 1 << 24;
    const INT8: u32 = 1 << 25;
    const TILE_STATE: u64 = 0b11 << 17;
    let os_saves_state = __cpuid(1).ecx & (1 << 27) != 0;
    let features = __cpuid_count(7, 0).edx;
    os_saves_state
        && features & (BF16 | TILE | INT8) == (BF16 | TILE | INT8)
        // SAFETY: OSXSAVE was seen above, which implies XSAVE.
        && unsafe { enabled_state() } & TILE_STATE == TILE_STATE
}

/// Asks Linux for the tile registers; the grant holds for all threads of the process.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn amx_granted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_ulong = 18;
    // SAFETY: this request takes two integers, touches no memory of ours, and fails with an error code on
    // kernels that do not know it.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn amx_granted() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for level in Isa::ALL {
            assert_eq!(Isa::from_name(level.name()), Some(level));
        }
        assert_eq!(Isa::from_name("AVX2 "), Some(Isa::Avx2));
        assert_eq!(Isa::from_name("sse9"), None);
    }

    #[test]
    fn a_forced_level_ends_with_its_scope() {
        let before = isa();
        with_isa(Isa::Portable, || assert_eq!(isa(), Isa::Portable));
        assert_eq!(isa(), before);
    }
}
