//! Matrix products, attention, convolution and rows on random shapes, against f64, on every instruction set.
//!
//! Sizes are drawn from 1, primes, and the neighbours of block sizes. The cases are the same in every run;
//! `PROPTEST_CASES=1000 PROPTEST_RNG_SEED=7` draws more and others.

mod reference;

use half::bf16;
use percept_kernels::{
    Activation, Attention, ConvShape, Epilogue, Isa, Matmul, PackedBf16, PackedF32, PackedInt8, Residual,
    ScoreBias, Visible, add, exponential, l2_norm, layer_norm, multiply, rms_norm, softmax,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use reference::draw::{any_activation, config, size};
use reference::linear::{finished, largest, product, quantised, rounding};
use reference::{activation, assert_close, attention, convolution, numbers, on_each_isa};

/// What follows a product.
#[derive(Clone, Copy, Debug)]
struct Steps {
    bias: bool,
    activation: Activation,
    scale: bool,
    /// 0: none, 1: another array, 2: in place.
    residual: u8,
}

fn steps() -> impl Strategy<Value = Steps> {
    (any::<bool>(), any_activation(), any::<bool>(), 0..3_u8)
        .prop_map(|(bias, activation, scale, residual)| Steps { bias, activation, scale, residual })
}

impl Steps {
    /// Compares `run` with a product `[m, n]` in f64 that these steps follow.
    fn check(
        self,
        product: &[f64],
        n: usize,
        tolerance: f64,
        what: &str,
        run: impl Fn(&mut [f32], &Epilogue<'_>),
    ) -> TestCaseResult {
        let (bias, scale) = (numbers(n, 3), numbers(n, 4));
        let (residual, old) = (numbers(product.len(), 5), numbers(product.len(), 6));
        let epilogue = Epilogue {
            bias: self.bias.then_some(&bias),
            activation: self.activation,
            scale: self.scale.then_some(&scale),
            residual: match self.residual {
                0 => Residual::None,
                1 => Residual::Add(&residual),
                _ => Residual::InPlace,
            },
        };
        let wanted = finished(product, |i| i % n, &epilogue, &old);
        let mut out = old;
        run(&mut out, &epilogue);
        assert_close(&out, &wanted, tolerance, what);
        Ok(())
    }
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn f32_and_bf16_products(m in size(70), n in size(140), k in size(300), steps in steps()) {
        let (input, weight) = (numbers(m * k, 1), numbers(n * k, 2));
        let round = |v: &[f32]| v.iter().map(|v| bf16::from_f32(*v).to_f32()).collect::<Vec<_>>();
        let exact = product(&input, &weight, n, k);
        let rounded = product(&round(&input), &round(&weight), n, k);
        let (packed, brief) = (PackedF32::new(&weight, n, k), PackedBf16::new(&weight, n, k));
        for level in percept_kernels::available() {
            percept_kernels::with_isa(level, || {
                let what = format!("{level:?} {m}x{n}x{k} {steps:?}");
                steps.check(&exact, n, rounding(k), &what, |out, e| packed.matmul(&input, out, e))?;
                steps.check(&rounded, n, rounding(k), &what, |out, e| brief.matmul(&input, out, e))
            })?;
        }
    }

    #[test]
    fn int8_products(m in size(70), n in size(140), k in size(300), steps in steps()) {
        let input = numbers(m * k, 1);
        let codes = numbers(n * k, 2).iter().map(|v| (v * 127.0) as i8).collect::<Vec<_>>();
        let scales = numbers(n, 7).iter().map(|v| v.abs() * 0.01 + 1e-3).collect::<Vec<_>>();
        let wanted = quantised(&input, &codes, &scales, n, k);
        let packed = PackedInt8::from_codes(&codes, &scales, n, k);
        for level in percept_kernels::available() {
            percept_kernels::with_isa(level, || {
                let what = format!("{level:?} {m}x{n}x{k} {steps:?}");
                let mut bare = vec![0.0; m * n];
                packed.matmul(&input, &mut bare, &Epilogue::NONE);
                // A value halfway between two codes may fall on either side: one code of one product.
                assert_close(&bare, &wanted, 127.0 * 0.011 * 2.0 / 255.0, &what);
                let bare = bare.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
                let tolerance = 2e-6 * largest(&bare).max(1.0);
                steps.check(&bare, n, tolerance, &what, |out, e| packed.matmul(&input, out, e))
            })?;
        }
    }

    #[test]
    fn attention_in_all_forms(
        (batch, kv_heads, together) in (1..3_usize, 1..3_usize, 1..4_usize),
        (queries, keys, dim) in (size(70), size(300), size(70)),
        (past, padded, biased) in (any::<bool>(), any::<bool>(), 0..4_u8),
    ) {
        let heads = kv_heads * together;
        let keys = if past { keys.max(queries) } else { keys };
        let lengths = (0..batch).map(|item| keys - item * keys / 3).collect::<Vec<_>>();
        let (per_head, per_item) = (queries * keys, heads * queries * keys);
        let mut values = numbers(batch * per_item, 9);
        values.iter_mut().step_by(11).for_each(|v| *v = f32::NEG_INFINITY);
        let bias = match biased {
            0 => None,
            1 => Some(ScoreBias::Full { values: &values, batch: per_item, head: per_head }),
            2 => Some(ScoreBias::Full { values: &values, batch: 0, head: per_head }),
            _ => Some(ScoreBias::Full { values: &values, batch: per_head, head: 0 }),
        };
        let all = Attention {
            kv_heads,
            visible: if past { Visible::Past { past: keys - queries } } else { Visible::All },
            key_lengths: padded.then_some(&lengths),
            bias,
            ..attention::of(batch, heads, queries, keys, dim)
        };
        attention::check(&all, &format!("{all:?}"));
    }

    #[test]
    fn convolutions(
        (groups, ins, outs) in (1..4_usize, size(9), size(40)),
        kernel in [1..6_usize, 1..6],
        stride in [1..4_usize, 1..4],
        padding in [0..4_usize, 0..4],
        dilation in [1..3_usize, 1..3],
        (batch, height, width, kind) in (1..3_usize, size(20), size(40), any_activation()),
    ) {
        let (in_channels, out_channels) = (groups * ins, groups * outs);
        let shape = ConvShape { out_channels, in_channels, kernel, stride, padding, dilation, groups };
        convolution::check(shape, batch, [height, width], kind);
    }

    #[test]
    fn depthwise_convolutions(
        channels in size(40),
        kernel in [1..8_usize, 1..8],
        stride in [1..4_usize, 1..4],
        padding in [0..4_usize, 0..4],
        dilation in [1..3_usize, 1..3],
        (batch, height, width, kind) in (1..3_usize, size(20), size(70), any_activation()),
    ) {
        let shape = ConvShape {
            out_channels: channels,
            in_channels: channels,
            kernel,
            stride,
            padding,
            dilation,
            groups: channels,
        };
        convolution::check(shape, batch, [height, width], kind);
    }

    #[test]
    fn rows_of_any_width(rows in 1..6_usize, width in size(400), seed in 1..100_u64) {
        let input = numbers(rows * width, seed);
        let (weight, bias) = (numbers(width, 2), numbers(width, 3));
        let each = |of: &dyn Fn(&[f64]) -> Vec<f64>| -> Vec<f64> {
            let double = input.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
            double.chunks_exact(width).flat_map(of).collect()
        };
        let mean_of = |row: &[f64]| row.iter().sum::<f64>() / width as f64;
        let layer = each(&|row| {
            let mean = mean_of(row);
            let variance = mean_of(&row.iter().map(|v| (v - mean).powi(2)).collect::<Vec<_>>());
            let unit = row.iter().map(|v| (v - mean) / (variance + 1e-2).sqrt());
            unit.enumerate().map(|(i, v)| v * f64::from(weight[i]) + f64::from(bias[i])).collect()
        });
        let squares = |row: &[f64]| row.iter().map(|v| v * v).sum::<f64>();
        let rms = each(&|row| {
            let root = (squares(row) / width as f64 + 1e-6).sqrt();
            row.iter().enumerate().map(|(i, v)| v / root * f64::from(weight[i])).collect()
        });
        let unit = each(&|row| row.iter().map(|v| v / squares(row).sqrt().max(1e-3)).collect());
        let soft = each(&|row| {
            let sum = row.iter().map(|v| v.exp()).sum::<f64>();
            row.iter().map(|v| v.exp() / sum).collect()
        });
        on_each_isa(|isa| {
            let what = format!("{isa:?} {rows}x{width}");
            let mut out = vec![9.0; input.len()];
            layer_norm(&input, width, Some(&weight), Some(&bias), 1e-2, &mut out);
            assert_close(&out, &layer, 5e-6, &what);
            rms_norm(&input, width, Some(&weight), 1e-6, &mut out);
            assert_close(&out, &rms, 2e-6, &what);
            l2_norm(&input, width, 1e-3, &mut out);
            assert_close(&out, &unit, 2e-6, &what);
            out.copy_from_slice(&input);
            softmax(&mut out, width);
            assert_close(&out, &soft, 1e-6, &what);
        });
    }

    #[test]
    fn functions_of_each_value(
        values in prop::collection::vec(-30.0..30.0_f32, 1..200),
        kind in any_activation(),
    ) {
        let double = values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        let wanted = double.iter().map(|x| activation(kind, *x)).collect::<Vec<_>>();
        let powers = double.iter().map(|x| x.exp()).collect::<Vec<_>>();
        let other = numbers(values.len(), 2);
        let pairs = || double.iter().zip(&other);
        let sums = pairs().map(|(a, b)| a + f64::from(*b)).collect::<Vec<_>>();
        let products = pairs().map(|(a, b)| a * f64::from(*b)).collect::<Vec<_>>();
        on_each_isa(|isa: Isa| {
            let run = |of: &dyn Fn(&mut [f32]), wanted: &[f64], tolerance: f64| {
                let mut out = values.clone();
                of(&mut out);
                assert_close(&out, wanted, tolerance, &format!("{isa:?} {kind:?} {}", values.len()));
            };
            // Stated for the activations: 1e-6 times the larger of 1 and |x|.
            run(&|out| kind.apply(out), &wanted, 3e-5);
            run(&exponential, &powers, 2.4e-7);
            run(&|out| add(out, &other), &sums, 1e-7);
            run(&|out| multiply(out, &other), &products, 1e-7);
        });
    }
}
