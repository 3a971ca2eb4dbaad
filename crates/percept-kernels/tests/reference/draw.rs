//! What random tests draw.

use percept_kernels::Activation;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// `cases` cases, the same in every run unless the environment asks for others; nothing is written to disk.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let given = |name: &str| std::env::var_os(name).is_some();
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    ProptestConfig {
        cases: if given("PROPTEST_CASES") { default.cases } else { cases },
        rng_seed: if given("PROPTEST_RNG_SEED") { default.rng_seed } else { RngSeed::Fixed(3) },
        ..default
    }
}

/// A size up to `most`: one, a prime, the neighbour of a block size, or any.
pub(crate) fn size(most: usize) -> impl Strategy<Value = usize> {
    const TELLING: [usize; 28] = [
        1, 2, 3, 5, 7, 11, 13, 15, 16, 17, 23, 31, 32, 33, 47, 61, 63, 64, 65, 97, 127, 128, 129, 191, 255,
        256, 257, 383,
    ];
    let telling = TELLING.into_iter().filter(|size| *size <= most).collect::<Vec<_>>();
    prop_oneof![prop::sample::select(telling), 1..=most]
}

/// Any activation.
pub(crate) fn any_activation() -> impl Strategy<Value = Activation> {
    prop::sample::select(Activation::ALL.to_vec())
}
