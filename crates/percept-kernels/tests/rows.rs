//! Norms, softmax and element-wise functions against f64.

mod reference;

use percept_kernels::{Activation, add, exponential, l2_norm, layer_norm, multiply, rms_norm, softmax};
use reference::{activation, assert_close, numbers, on_each_isa};

const WIDTHS: [usize; 8] = [1, 2, 15, 16, 33, 97, 384, 1501];

/// Rows far from zero mean, where a one-pass variance would lose its digits.
fn rows(width: usize) -> Vec<f32> {
    numbers(5 * width, 1).iter().enumerate().map(|(i, v)| v * 2.0 + 10.0 * (i / width) as f32).collect()
}

#[test]
fn layer_norm_is_its_definition() {
    for width in WIDTHS {
        let (input, weight, bias) = (rows(width), numbers(width, 2), numbers(width, 3));
        for (w, b) in [(None, None), (Some(&weight), None), (None, Some(&bias)), (Some(&weight), Some(&bias))]
        {
            let wanted: Vec<f64> = input
                .chunks_exact(width)
                .flat_map(|row| {
                    let row: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
                    let mean = row.iter().sum::<f64>() / width as f64;
                    let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / width as f64;
                    row.into_iter().enumerate().map(move |(i, v)| {
                        let unit = (v - mean) / (variance + 1e-5).sqrt();
                        unit * w.map_or(1.0, |w| f64::from(w[i])) + b.map_or(0.0, |b| f64::from(b[i]))
                    })
                })
                .collect();
            on_each_isa(|isa| {
                let mut out = vec![0.0; input.len()];
                layer_norm(&input, width, w.map(Vec::as_slice), b.map(Vec::as_slice), 1e-5, &mut out);
                // One rounding of the mean of numbers near 40 is 4e-6, divided by a deviation of about 1.
                assert_close(&out, &wanted, 1e-5, &format!("{isa:?} {width}"));
            });
        }
    }
}

#[test]
fn rms_norm_is_its_definition() {
    for width in WIDTHS {
        let (input, weight) = (rows(width), numbers(width, 2));
        let wanted: Vec<f64> = input
            .chunks_exact(width)
            .flat_map(|row| {
                let mean = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / width as f64;
                let weight = &weight;
                row.iter()
                    .enumerate()
                    .map(move |(i, v)| f64::from(*v) / (mean + 1e-6).sqrt() * f64::from(weight[i]))
            })
            .collect();
        on_each_isa(|isa| {
            let mut out = vec![0.0; input.len()];
            rms_norm(&input, width, Some(&weight), 1e-6, &mut out);
            assert_close(&out, &wanted, 2e-6, &format!("{isa:?} {width}"));
        });
    }
}

#[test]
fn l2_norm_is_its_definition() {
    for width in WIDTHS {
        let mut input = rows(width);
        input[..width].fill(0.0);
        let wanted: Vec<f64> = input
            .chunks_exact(width)
            .flat_map(|row| {
                let length = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
                row.iter().map(move |v| f64::from(*v) / length.max(1e-12))
            })
            .collect();
        on_each_isa(|isa| {
            let mut out = vec![9.0; input.len()];
            l2_norm(&input, width, 1e-12, &mut out);
            assert_close(&out, &wanted, 1e-6, &format!("{isa:?} {width}"));
        });
    }
}

#[test]
fn softmax_is_its_definition_and_hides_negative_infinity() {
    for width in WIDTHS {
        let mut input: Vec<f32> = numbers(4 * width, 1).iter().map(|v| v * 30.0).collect();
        input.iter_mut().skip(1).step_by(3).for_each(|v| *v = f32::NEG_INFINITY);
        input[3 * width..].fill(f32::NEG_INFINITY);
        let mut wanted = Vec::new();
        for row in input.chunks_exact(width) {
            let peak = row.iter().fold(f64::NEG_INFINITY, |a, b| a.max(f64::from(*b)));
            let terms: Vec<f64> =
                row.iter().map(|v| if v.is_finite() { (f64::from(*v) - peak).exp() } else { 0.0 }).collect();
            let sum: f64 = terms.iter().sum();
            wanted.extend(terms.iter().map(|t| if sum > 0.0 { t / sum } else { 0.0 }));
        }
        on_each_isa(|isa| {
            let mut out = input.clone();
            softmax(&mut out, width);
            assert_close(&out, &wanted, 1e-6, &format!("{isa:?} {width}"));
        });
    }
}

#[test]
fn activations_stay_within_their_stated_error() {
    let points: Vec<f32> = (-20_000..=20_000).map(|i| i as f32 * 6e-4).collect();
    for kind in Activation::ALL {
        let wanted: Vec<f64> = points.iter().map(|x| activation(kind, f64::from(*x))).collect();
        on_each_isa(|isa| {
            let mut got = points.clone();
            kind.apply(&mut got);
            for ((x, got), wanted) in points.iter().zip(&got).zip(&wanted) {
                let error = (f64::from(*got) - wanted).abs();
                assert!(
                    error <= 1e-6 * f64::from(x.abs()).max(1.0),
                    "{isa:?} {kind:?}({x}) = {got}, not {wanted}"
                );
            }
        });
    }
}

#[test]
fn exponential_is_within_two_units_in_the_last_place() {
    let points: Vec<f32> = (-87_300..=88_700).map(|i| i as f32 * 1e-3).collect();
    on_each_isa(|isa| {
        let mut got = points.clone();
        exponential(&mut got);
        for (x, got) in points.iter().zip(&got) {
            let wanted = f64::from(*x).exp();
            let error = (f64::from(*got) - wanted).abs() / wanted;
            assert!(error < 2.4e-7, "{isa:?} exp({x}) = {got}, not {wanted}");
        }
        let mut edges = [f32::NEG_INFINITY, -1e30, -90.0, 0.0, 89.0, f32::INFINITY];
        exponential(&mut edges);
        assert_eq!(edges, [0.0, 0.0, 0.0, 1.0, f32::INFINITY, f32::INFINITY], "{isa:?}");
    });
}

#[test]
fn sums_and_products_of_arrays() {
    let (a, b) = (numbers(10_001, 1), numbers(10_001, 2));
    on_each_isa(|_| {
        let (mut sum, mut product) = (a.clone(), a.clone());
        add(&mut sum, &b);
        multiply(&mut product, &b);
        for i in 0..a.len() {
            assert_eq!((sum[i], product[i]), (a[i] + b[i], a[i] * b[i]));
        }
    });
}
