//! Attention by its definition, in f64.

use percept_kernels::{Arithmetic, Attention, Operand, ScoreBias, Strides, Visible};

use super::{assert_close, numbers, on_each_isa};

/// The definition, in f64, in the layout `[batch, queries, heads, dim]`.
pub(crate) fn plain(attention: &Attention<'_>, q: Operand<'_>, k: Operand<'_>, v: Operand<'_>) -> Vec<f64> {
    let Attention { batch, heads, kv_heads, queries, keys, dim, .. } = *attention;
    let at = |o: &Operand<'_>, item: usize, head: usize, token: usize, d: usize| {
        let s = o.strides;
        f64::from(o.values[item * s.batch + head * s.head + token * s.token + d])
    };
    let mut out = vec![0.0; batch * queries * heads * dim];
    for item in 0..batch {
        for head in 0..heads {
            let kv = head / (heads / kv_heads);
            for query in 0..queries {
                let visible = |key: usize| {
                    key < attention.key_lengths.map_or(keys, |lengths| lengths[item])
                        && match attention.visible {
                            Visible::All => true,
                            Visible::Past { past } => key <= query + past,
                        }
                };
                let score = |key: usize| -> f64 {
                    let dot: f64 =
                        (0..dim).map(|d| at(&q, item, head, query, d) * at(&k, item, kv, key, d)).sum();
                    let bias =
                        attention.bias.map_or(0.0, |b| bias_at(attention, &b, [item, head, query, key]));
                    dot * f64::from(attention.scale) + bias
                };
                let scores: Vec<(usize, f64)> =
                    (0..keys).filter(|key| visible(*key)).map(|key| (key, score(key))).collect();
                let peak = scores.iter().fold(f64::NEG_INFINITY, |a, b| a.max(b.1));
                let sum: f64 = scores.iter().map(|(_, s)| (s - peak).exp()).sum();
                for d in 0..dim {
                    let mixed: f64 =
                        scores.iter().map(|(key, s)| (s - peak).exp() * at(&v, item, kv, *key, d)).sum();
                    let value = if sum > 0.0 { mixed / sum } else { 0.0 };
                    out[((item * queries + query) * heads + head) * dim + d] = value;
                }
            }
        }
    }
    out
}

/// The bias of one score, from its definition.
fn bias_at(attention: &Attention<'_>, bias: &ScoreBias<'_>, [item, head, query, key]: [usize; 4]) -> f64 {
    match *bias {
        ScoreBias::Full { values, batch, head: per_head } => {
            f64::from(values[item * batch + head * per_head + query * attention.keys + key])
        }
        ScoreBias::Decomposed { height, width, map: [rows, columns] } => {
            let row = (item * attention.heads + head) * attention.queries + query;
            f64::from(height[row * rows + key / columns]) + f64::from(width[row * columns + key % columns])
        }
    }
}

/// Attention of queries that see all keys.
pub(crate) fn of(batch: usize, heads: usize, queries: usize, keys: usize, dim: usize) -> Attention<'static> {
    Attention {
        batch,
        heads,
        kv_heads: heads,
        queries,
        keys,
        dim,
        scale: 1.0 / (dim as f32).sqrt(),
        visible: Visible::All,
        key_lengths: None,
        bias: None,
        arithmetic: Arithmetic::F32,
    }
}

/// Compares with the definition, from heads-first operands of some spread.
#[track_caller]
pub(crate) fn check(attention: &Attention<'_>, what: &str) {
    check_within(attention, 5e-6, what);
}

/// The same within a tolerance (a part of the largest value).
#[track_caller]
pub(crate) fn check_within(attention: &Attention<'_>, tolerance: f64, what: &str) {
    let Attention { batch, heads, kv_heads, queries, keys, dim, .. } = *attention;
    let spread = |values: Vec<f32>| -> Vec<f32> { values.into_iter().map(|v| 3.0 * v).collect() };
    let q = spread(numbers(batch * heads * queries * dim, 1));
    let k = spread(numbers(batch * kv_heads * keys * dim, 2));
    let v = numbers(batch * kv_heads * keys * dim, 3);
    let q = Operand { values: &q, strides: Strides::heads_first(heads, queries, dim) };
    let k = Operand { values: &k, strides: Strides::heads_first(kv_heads, keys, dim) };
    let v = Operand { values: &v, strides: Strides::heads_first(kv_heads, keys, dim) };
    let wanted = plain(attention, q, k, v);
    on_each_isa(|isa| {
        let mut out = vec![7.0; wanted.len()];
        attention.run(q, k, v, &mut out, Strides::tokens_first(queries, heads * dim, dim));
        assert_close(&out, &wanted, tolerance, &format!("{isa:?} {what}"));
    });
}
