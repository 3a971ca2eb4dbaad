//! Attention between pixels and tokens against its definition in f64.

use percept_kernels::{Arithmetic, Look, TwoWay, available, with_isa};

/// The definition, in f64.
fn plain(pass: &TwoWay<'_>, x: &[f32], look: &Look<'_>, item: usize) -> (Vec<f64>, Vec<f64>) {
    let TwoWay { pixels, dim, heads, tokens, positions, .. } = *pass;
    let rows = tokens * heads;
    let x = if x.len() == pixels * dim { x } else { &x[item * pixels * dim..][..pixels * dim] };
    let row = |values: &[f32], r: usize| -> Vec<f64> {
        values[(item * rows + r) * dim..][..dim].iter().map(|v| f64::from(*v)).collect()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut y = Vec::new();
    for p in 0..pixels {
        let own: Vec<f64> = x[p * dim..][..dim].iter().map(|v| f64::from(*v)).collect();
        let placed: Vec<f64> =
            own.iter().zip(&positions[p * dim..]).map(|(a, b)| a + f64::from(*b)).collect();
        let mut made: Vec<f64> = own.iter().zip(pass.bias).map(|(a, b)| a + f64::from(*b)).collect();
        for head in 0..heads {
            let scores: Vec<f64> = (0..tokens)
                .map(|t| t * heads + head)
                .map(|r| dot(&placed, &row(look.keys, r)) + f64::from(look.offsets[item * rows + r]))
                .map(f64::exp)
                .collect();
            let all: f64 = scores.iter().sum();
            for (t, score) in scores.iter().enumerate() {
                let values = row(look.values, t * heads + head);
                made.iter_mut().zip(&values).for_each(|(to, value)| *to += score / all * value);
            }
        }
        let mean = made.iter().sum::<f64>() / dim as f64;
        let variance = made.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / dim as f64;
        let factor = 1.0 / (variance + f64::from(pass.eps)).sqrt();
        let [weight, bias] = pass.norm;
        y.extend(
            made.iter()
                .zip(weight.iter().zip(bias))
                .map(|(v, (w, b))| (v - mean) * factor * f64::from(*w) + f64::from(*b)),
        );
    }
    let mut sums = Vec::new();
    for r in 0..rows {
        let query = row(look.queries, r);
        let scores: Vec<f64> = (0..pixels)
            .map(|p| {
                let placed: Vec<f64> = y[p * dim..][..dim]
                    .iter()
                    .zip(&positions[p * dim..])
                    .map(|(a, b)| a + f64::from(*b))
                    .collect();
                dot(&query, &placed).exp()
            })
            .collect();
        let all: f64 = scores.iter().sum();
        let mut mean = vec![0.0; dim];
        for (p, score) in scores.iter().enumerate() {
            mean.iter_mut().zip(&y[p * dim..]).for_each(|(to, value)| *to += score / all * value);
        }
        sums.extend(mean);
    }
    (y, sums)
}

#[test]
fn equals_the_definition_on_every_level() {
    let shapes = [(2, 1, 5, 32, 1, 1), (3, 3, 70, 40, 2, 3), (1, 1, 1300, 64, 8, 9), (2, 1, 300, 32, 4, 7)];
    for (items, maps, pixels, dim, heads, tokens) in shapes {
        let mut state = 1_u32;
        let mut numbers = |count: usize, size: f32| -> Vec<f32> {
            (0..count)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * size
                })
                .collect()
        };
        let rows = tokens * heads;
        let x = numbers(maps * pixels * dim, 1.0);
        let (positions, bias) = (numbers(pixels * dim, 1.0), numbers(dim, 0.5));
        let (weight, shift) = (numbers(dim, 1.5), numbers(dim, 0.5));
        let (keys, values, queries) = (
            numbers(items * rows * dim, 0.4),
            numbers(items * rows * dim, 0.5),
            numbers(items * rows * dim, 0.4),
        );
        let offsets = numbers(items * rows, 1.0);
        let look = Look { keys: &keys, offsets: &offsets, values: &values, queries: &queries };
        for (arithmetic, allowed) in
            [(Arithmetic::F32, 2e-5), (Arithmetic::Bf16x3, 2e-4), (Arithmetic::Bf16, 6e-2)]
        {
            let pass = TwoWay {
                pixels,
                dim,
                heads,
                tokens,
                positions: &positions,
                bias: &bias,
                norm: [&weight, &shift],
                eps: 1e-5,
                arithmetic,
            };
            for level in available() {
                let (made, sums) = with_isa(level, || pass.run(&x, &look));
                for item in 0..items {
                    let (y, means) = plain(&pass, &x, &look, item);
                    let worst = |found: &[f32], wanted: &[f64]| {
                        found.iter().zip(wanted).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
                    };
                    let pixels = worst(&made[item * y.len()..][..y.len()], &y);
                    let means = worst(&sums[item * means.len()..][..means.len()], &means);
                    assert!(
                        pixels < allowed && means < allowed,
                        "{level:?} {arithmetic:?}: {pixels} {means}"
                    );
                }
            }
        }
    }
}
