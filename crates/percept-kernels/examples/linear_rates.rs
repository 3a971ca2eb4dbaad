//! Prints the rates of packed matrix products, of the gemm crate, and on every instruction set.
#![allow(clippy::print_stdout, unsafe_code)]

use percept_kernels::{Epilogue, Matmul, PackedBf16, PackedF32, PackedInt8, available, with_isa};
use std::time::Instant;

/// Median and best seconds of `runs` calls.
fn time(runs: usize, mut work: impl FnMut()) -> (f64, f64) {
    work();
    let mut all: Vec<f64> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    all.sort_by(f64::total_cmp);
    (all[runs / 2], all[0])
}

fn gemm_crate(input: &[f32], weight: &[f32], out: &mut [f32], (m, n, k): (usize, usize, usize)) {
    let threads = gemm::Parallelism::Rayon(0);
    // SAFETY: the three arrays have m x k, n x k and m x n numbers.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            input.as_ptr(),
            1,
            k as isize,
            weight.as_ptr(),
            k as isize,
            1,
            0.0_f32,
            1.0_f32,
            false,
            false,
            false,
            threads,
        );
    }
}

fn main() {
    let shapes = [
        (1500, 384, 1536),
        (197, 768, 3072),
        (4096, 768, 3072),
        (1500, 384, 384),
        (1500, 1536, 384),
        (1, 384, 51864),
        (5, 384, 51864),
        (1, 384, 1536),
        (5, 384, 1536),
    ];
    for (m, k, n) in shapes {
        let input: Vec<f32> = (0..m * k).map(|i| (i % 17) as f32 * 0.1 - 0.8).collect();
        let weight: Vec<f32> = (0..n * k).map(|i| (i % 19) as f32 * 0.1 - 0.9).collect();
        let mut out = vec![0.0; m * n];
        let work = 2.0 * (m * n * k) as f64 / 1e9;
        let runs = ((4.0 / work) as usize).clamp(9, 51);
        let report = |name: &str, (median, best): (f64, f64)| {
            println!(
                "{m}x{k}x{n} {name:18} median {:8.3} ms {:6.0} G/s, best {:6.0} G/s",
                median * 1e3,
                work / median,
                work / best
            );
        };
        report("gemm crate f32", time(runs, || gemm_crate(&input, &weight, &mut out, (m, n, k))));
        let (f32s, bf16s, int8s) =
            (PackedF32::new(&weight, n, k), PackedBf16::new(&weight, n, k), PackedInt8::new(&weight, n, k));
        let all = std::env::args().any(|a| a == "all");
        for level in available().into_iter().rev().take(if all { 5 } else { 2 }) {
            with_isa(level, || {
                let name = level.name();
                report(&format!("{name} f32"), time(runs, || f32s.matmul(&input, &mut out, &Epilogue::NONE)));
                report(
                    &format!("{name} bf16"),
                    time(runs, || bf16s.matmul(&input, &mut out, &Epilogue::NONE)),
                );
                report(
                    &format!("{name} int8"),
                    time(runs, || int8s.matmul(&input, &mut out, &Epilogue::NONE)),
                );
            });
        }
    }
}
