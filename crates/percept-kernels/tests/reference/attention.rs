//! Attention by its definition, in f64.

use percept_kernels::{Attention, Operand, Strides, Visible};

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
                    let bias = attention.bias.map_or(0.0, |b| {
                        f64::from(b.values[item * b.batch + head * b.head + query * keys + key])
                    });
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
    }
}

/// Compares with the definition, from heads-first operands of some spread.
#[track_caller]
pub(crate) fn check(attention: &Attention<'_>, what: &str) {
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
        assert_close(&out, &wanted, 5e-6, &format!("{isa:?} {what}"));
    });
}
