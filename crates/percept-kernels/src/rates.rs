//! What this machine multiplies in a second, for `percept doctor`.

use crate::{Epilogue, Matmul, PackedBf16, PackedF32, PackedInt8};
use std::time::{Duration, Instant};

/// Measured rates of packed matrix products, in 10^9 operations (multiplications and additions) a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// [`PackedF32`].
    pub f32: f64,
    /// [`PackedBf16`].
    pub bf16: f64,
    /// [`PackedInt8`].
    pub int8: f64,
}

/// Measures the rates with the instruction set and the threads in use here; takes about half a second.
///
/// The product is that of a Transformer's hidden layer (768 rows, 768 to 1536 channels); each rate is that of
/// the best of several runs, which other programs disturb least.
#[must_use]
pub fn rates() -> Rates {
    const ROWS: usize = 768;
    const DEPTH: usize = 768;
    const CHANNELS: usize = 1536;
    let numbers =
        |count: usize| -> Vec<f32> { (0..count).map(|i| (i * 7919 % 1013) as f32 / 506.5 - 1.0).collect() };
    let (input, weight) = (numbers(ROWS * DEPTH), numbers(CHANNELS * DEPTH));
    let mut out = vec![0.0; ROWS * CHANNELS];
    let mut best = |matmul: &dyn Fn(&mut [f32])| {
        matmul(&mut out);
        let end = Instant::now() + Duration::from_millis(150);
        let mut shortest = Duration::MAX;
        while Instant::now() < end {
            let start = Instant::now();
            matmul(&mut out);
            shortest = shortest.min(start.elapsed());
        }
        2.0 * (ROWS * DEPTH * CHANNELS) as f64 / 1e9 / shortest.as_secs_f64()
    };
    let f32s = PackedF32::new(&weight, CHANNELS, DEPTH);
    let bf16s = PackedBf16::new(&weight, CHANNELS, DEPTH);
    let int8s = PackedInt8::new(&weight, CHANNELS, DEPTH);
    Rates {
        f32: best(&|out| f32s.matmul(&input, out, &Epilogue::NONE)),
        bf16: best(&|out| bf16s.matmul(&input, out, &Epilogue::NONE)),
        int8: best(&|out| int8s.matmul(&input, out, &Epilogue::NONE)),
    }
}
