//! Packed matrix products against f64, on every instruction set of the machine.

mod reference;

use half::{bf16, f16};
use percept_kernels::{
    Activation, Arithmetic, Epilogue, Matmul, PackedBf16, PackedF32, PackedHalf, PackedInt8, Residual,
    rows_in,
};
use reference::linear::{finished, largest, product, quantised, rounding};
use reference::{assert_close, numbers, on_each_isa};

/// (m, n, k): ones, primes, sizes off the blocks of 12 and 32 rows, 32 columns, 32 and 64 deep, and depths
/// that AMX takes in several rounds.
const SHAPES: [(usize, usize, usize); 17] = [
    (1, 1, 1),
    (1, 33, 7),
    (2, 31, 64),
    (3, 32, 65),
    (5, 64, 31),
    (8, 97, 129),
    (9, 40, 33),
    (12, 32, 32),
    (13, 129, 63),
    (17, 1, 100),
    (31, 65, 1),
    (33, 96, 128),
    (101, 67, 191),
    (200, 130, 70),
    (700, 40, 401),
    (40, 70, 1300),
    (35, 33, 2401),
];

/// Runs `check` with a number of epilogues for outputs of `m` x `n`.
fn with_epilogues(m: usize, n: usize, mut check: impl FnMut(&Epilogue<'_>, &str)) {
    let (bias, scale, residual) = (numbers(n, 3), numbers(n, 4), numbers(m * n, 5));
    check(&Epilogue::NONE, "none");
    for kind in Activation::ALL {
        check(&Epilogue::NONE.bias(Some(&bias)).activation(kind), &format!("{kind:?}"));
    }
    let full = Epilogue::NONE.bias(Some(&bias)).activation(Activation::GeluErf).scale(Some(&scale));
    check(&full, "scale");
    check(&full.residual(Residual::Add(&residual)), "scale and residual");
    check(&full.residual(Residual::InPlace), "scale, in place");
    check(&Epilogue::NONE.residual(Residual::InPlace), "in place");
}

#[test]
fn f32_is_the_product_in_f64() {
    for (m, n, k) in SHAPES {
        let (input, weight, old) = (numbers(m * k, 1), numbers(n * k, 2), numbers(m * n, 6));
        let wanted = product(&input, &weight, n, k);
        let packed = PackedF32::new(&weight, n, k);
        on_each_isa(|isa| {
            with_epilogues(m, n, |epilogue, what| {
                let mut out = old.clone();
                packed.matmul(&input, &mut out, epilogue);
                let wanted = finished(&wanted, |i| i % n, epilogue, &old);
                assert_close(&out, &wanted, rounding(k), &format!("{isa:?} {m}x{n}x{k} {what}"));
            });
        });
    }
}

/// Split into bf16 parts or not, f32 keeps f32's accuracy: the mean error
/// stays below two units in the last place of the largest output.
#[test]
fn f32_is_equally_accurate_on_every_instruction_set() {
    let (m, n, k) = (64, 64, 1536);
    let (input, weight) = (numbers(m * k, 1), numbers(n * k, 2));
    let wanted = product(&input, &weight, n, k);
    let packed = PackedF32::new(&weight, n, k);
    on_each_isa(|isa| {
        let mut out = vec![0.0; m * n];
        packed.matmul(&input, &mut out, &Epilogue::NONE);
        let mean =
            out.iter().zip(&wanted).map(|(a, b)| (f64::from(*a) - b).abs()).sum::<f64>() / (m * n) as f64;
        assert!(mean < 2e-7 * largest(&wanted), "{isa:?}: {mean} of {}", largest(&wanted));
    });
}

#[test]
fn bf16_is_the_product_of_rounded_numbers() {
    let round = |values: &[f32]| -> Vec<f32> { values.iter().map(|v| bf16::from_f32(*v).to_f32()).collect() };
    for (m, n, k) in SHAPES {
        let (input, weight, old) = (numbers(m * k, 1), numbers(n * k, 2), numbers(m * n, 6));
        let wanted = product(&round(&input), &round(&weight), n, k);
        let packed = PackedBf16::new(&weight, n, k);
        on_each_isa(|isa| {
            with_epilogues(m, n, |epilogue, what| {
                let mut out = old.clone();
                packed.matmul(&input, &mut out, epilogue);
                let wanted = finished(&wanted, |i| i % n, epilogue, &old);
                assert_close(&out, &wanted, rounding(k), &format!("{isa:?} {m}x{n}x{k} {what}"));
            });
        });
    }
}

#[test]
fn int8_is_the_product_of_quantised_numbers() {
    for (m, n, k) in SHAPES {
        let (input, old) = (numbers(m * k, 1), numbers(m * n, 6));
        let codes: Vec<i8> = numbers(n * k, 2).iter().map(|v| (v * 127.0) as i8).collect();
        let scales: Vec<f32> = numbers(n, 7).iter().map(|v| v.abs() * 0.01 + 1e-3).collect();
        let wanted = quantised(&input, &codes, &scales, n, k);
        let packed = PackedInt8::from_codes(&codes, &scales, n, k);
        // A value halfway between two codes may fall on either side: one code of one product.
        let tolerance = 127.0 * 0.011 * 2.0 / 255.0;
        let mut first: Option<Vec<f32>> = None;
        on_each_isa(|isa| {
            let mut bare = vec![0.0; m * n];
            packed.matmul(&input, &mut bare, &Epilogue::NONE);
            assert_close(&bare, &wanted, tolerance, &format!("{isa:?} {m}x{n}x{k}"));
            if isa >= percept_kernels::Isa::Avx2 {
                // With FMA or without, codes may differ; among the others nothing may.
                assert_eq!(first.get_or_insert_with(|| bare.clone()), &bare, "{isa:?} {m}x{n}x{k}");
            }
            with_epilogues(m, n, |epilogue, what| {
                let mut out = old.clone();
                packed.matmul(&input, &mut out, epilogue);
                let product: Vec<f64> = bare.iter().map(|v| f64::from(*v)).collect();
                let wanted = finished(&product, |i| i % n, epilogue, &old);
                let tolerance = 2e-6 * largest(&product).max(1.0);
                assert_close(&out, &wanted, tolerance, &format!("{isa:?} {m}x{n}x{k} {what}"));
            });
        });
    }
}

#[test]
fn int8_keeps_one_percent_of_the_largest_output() {
    let (m, n, k) = (50, 64, 384);
    // Skewed like the values after GELU.
    let mut input = numbers(m * k, 1);
    Activation::GeluErf.apply(&mut input);
    let weight = numbers(n * k, 2);
    let wanted = product(&input, &weight, n, k);
    let mut out = vec![0.0; m * n];
    PackedInt8::new(&weight, n, k).matmul(&input, &mut out, &Epilogue::NONE);
    let worst = out.iter().zip(&wanted).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    assert!(worst < 0.01 * largest(&wanted), "{worst} of {}", largest(&wanted));
}

#[test]
#[should_panic(expected = "rows of 8 are wanted")]
fn a_short_input_is_refused() {
    PackedF32::new(&[0.0; 32], 4, 8).matmul(&[0.0; 15], &mut [0.0; 8], &Epilogue::NONE);
}

#[test]
#[should_panic(expected = "bias")]
fn a_short_bias_is_refused() {
    PackedF32::new(&[0.0; 32], 4, 8).matmul(&[0.0; 16], &mut [0.0; 8], &Epilogue::NONE.bias(Some(&[0.0; 3])));
}

#[test]
fn halves_are_multiplied_as_the_numbers_they_are() {
    for (m, n, k) in SHAPES.into_iter().filter(|(_, _, k)| *k > 0) {
        let (input, old) = (numbers(m * k, 1), numbers(m * n, 6));
        let halves: Vec<f16> = numbers(n * k, 2).into_iter().map(f16::from_f32).collect();
        let weight: Vec<f32> = halves.iter().map(|v| v.to_f32()).collect();
        let wanted = product(&input, &weight, n, k);
        let packed = PackedHalf::new(&halves, n, k);
        on_each_isa(|isa| {
            with_epilogues(m, n, |epilogue, what| {
                let wanted = finished(&wanted, |i| i % n, epilogue, &old);
                let mut out = old.clone();
                packed.matmul(&input, &mut out, epilogue);
                assert_close(&out, &wanted, rounding(k), &format!("{isa:?} {m}x{n}x{k} {what}"));
            });
        });
    }
}

/// Where only the parts that AMX wants are kept, a few rows come out right too.
#[test]
fn a_weight_for_many_rows_takes_any_number_of_them() {
    for (m, n, k) in SHAPES {
        let (input, weight) = (numbers(m * k, 1), numbers(n * k, 2));
        let wanted = product(&input, &weight, n, k);
        let read = rows_in(&weight, k);
        on_each_isa(|isa| {
            let Ok(packed) = PackedF32::for_many_rows(n, k, Arithmetic::F32, &read);
            let mut out = vec![0.0; m * n];
            packed.matmul(&input, &mut out, &Epilogue::NONE);
            assert_close(&out, &wanted, rounding(k), &format!("{isa:?} {m}x{n}x{k}"));
        });
    }
}

#[test]
fn a_row_that_cannot_be_read_is_an_error() {
    let read = |first: usize, _: &mut [f32]| if first >= 32 { Err(first) } else { Ok(()) };
    assert_eq!(PackedF32::from_rows(100, 8, &read).err(), Some(32));
    assert_eq!(PackedF32::for_many_rows(100, 8, Arithmetic::F32, &read).err(), Some(32));
    assert_eq!(PackedBf16::from_rows(100, 8, &read).err(), Some(32));
    assert_eq!(PackedInt8::from_rows(100, 8, &read).err(), Some(32));
}

/// Two bf16 parts leave out 2^-16 of a number: a product is wrong by three times that at most, and rounding adds
/// its own.
#[test]
fn bf16x3_keeps_sixteen_bits() {
    for (m, n, k) in SHAPES {
        let (input, weight) = (numbers(m * k, 1), numbers(n * k, 2));
        let wanted = product(&input, &weight, n, k);
        let bound = product(
            &input.iter().map(|x| x.abs()).collect::<Vec<_>>(),
            &weight.iter().map(|x| x.abs()).collect::<Vec<_>>(),
            n,
            k,
        );
        let read = rows_in(&weight, k);
        on_each_isa(|isa| {
            let Ok(packed) = PackedF32::for_many_rows(n, k, Arithmetic::Bf16x3, &read);
            let mut out = vec![0.0; m * n];
            packed.matmul(&input, &mut out, &Epilogue::NONE);
            for ((got, wanted), bound) in out.iter().zip(&wanted).zip(&bound) {
                let error = (f64::from(*got) - wanted).abs();
                assert!(
                    error <= bound * (3.0 * 0.5_f64.powi(16) + rounding(k)),
                    "{isa:?} {m}x{n}x{k}: {error}"
                );
            }
        });
    }
}

/// Who decodes several recordings at once counts on this: what one of them says must not depend on the others.
#[test]
fn independent_rows_have_the_same_bits_in_any_company() {
    for (n, k) in [(100, 384), (1536, 384), (33, 97), (384, 1536)] {
        let (input, weight) = (numbers(64 * k, 1), numbers(n * k, 2));
        let (bias, old) = (numbers(n, 3), numbers(64 * n, 4));
        let halves: Vec<f16> = weight.iter().copied().map(f16::from_f32).collect();
        let packed: [(&str, &dyn Matmul); 4] = [
            ("int8", &PackedInt8::new(&weight, n, k)),
            ("half", &PackedHalf::new(&halves, n, k)),
            ("f32", &PackedF32::new(&weight, n, k)),
            ("bf16", &PackedBf16::new(&weight, n, k)),
        ];
        on_each_isa(|isa| {
            for (name, packed) in packed {
                let product = |first: usize, rows: usize| {
                    let epilogue = Epilogue::NONE
                        .bias(Some(&bias))
                        .activation(Activation::GeluErf)
                        .residual(Residual::Add(&old[first * n..(first + rows) * n]));
                    packed.forward(&input[first * k..(first + rows) * k], &epilogue)
                };
                let alone: Vec<f32> = (0..64).flat_map(|row| product(row, 1)).collect();
                let most = (0..64).map(|row| [row, 64]).chain([[0, 2], [3, 5], [7, 20], [2, 45]]);
                let worst = most
                    .flat_map(|[first, end]| {
                        let together = product(first, end - first);
                        let differences =
                            together.iter().zip(&alone[first * n..]).map(|(a, b)| (a - b).abs());
                        differences
                            .fold(None, |worst: Option<f32>, next| Some(worst.map_or(next, |w| w.max(next))))
                    })
                    .fold(0.0, f32::max);
                if packed.rows_are_independent() {
                    assert_eq!(worst, 0.0, "{isa:?} {name} {n}x{k}");
                } else {
                    // What is summed in another order differs by rounding only.
                    assert!(f64::from(worst) < 4.0 * rounding(k), "{isa:?} {name} {n}x{k}: {worst}");
                    eprintln!("{isa:?} {name} {n}x{k}: rows differ by {worst:e}");
                }
            }
        });
    }
}
