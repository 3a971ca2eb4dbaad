//! Plain f64 references and reproducible numbers.
#![allow(dead_code)] // each test file uses its part

pub(crate) mod attention;
pub(crate) mod convolution;
pub(crate) mod draw;
pub(crate) mod feature_maps;
pub(crate) mod linear;
pub(crate) mod sampling;

use percept_kernels::{Activation, Isa, available, with_isa};

/// xorshift numbers in -1..1.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// erf by its Taylor series up to 3, by the continued fraction of erfc above.
pub(crate) fn erf(x: f64) -> f64 {
    if x.abs() < 3.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..100 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let a = x.abs();
        let fraction = (1..60).rev().fold(0.0, |below, n| f64::from(n) / 2.0 / (a + below));
        x.signum() * (1.0 - (-a * a).exp() / std::f64::consts::PI.sqrt() / (a + fraction))
    }
}

pub(crate) fn activation(kind: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match kind {
        Activation::None => x,
        Activation::GeluErf => 0.5 * x * (1.0 + erf(x / 2_f64.sqrt())),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh())
        }
        Activation::Relu => x.max(0.0),
        Activation::Silu => x * sigmoid(x),
        Activation::QuickGelu => x * sigmoid(1.702 * x),
        Activation::Sigmoid => sigmoid(x),
        Activation::Tanh => x.tanh(),
    }
}

/// Runs `check` on every instruction set that this machine has.
pub(crate) fn on_each_isa(mut check: impl FnMut(Isa)) {
    for level in available() {
        with_isa(level, || check(level));
    }
}

/// Fails if one value is further from its reference than `tolerance` times the larger of 1 and the reference.
#[track_caller]
pub(crate) fn assert_close(got: &[f32], wanted: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), wanted.len(), "{what}: length");
    for (index, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        let error = (f64::from(*got) - wanted).abs();
        assert!(error <= tolerance * wanted.abs().max(1.0), "{what}: [{index}] {got} for {wanted}");
    }
}
