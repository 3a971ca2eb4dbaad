//! Attention for a few queries over many keys: one decoding step over a cache.
//!
//! Nothing is packed, because every key and value is read once: the work is bound by memory.

use crate::attention::{Attention, Operand, Strides};
use crate::isa::Isa;
use crate::math::{mul_add, per_isa};
use crate::norm::{exp_scaled, multiply_by};
use crate::parallel::{self, SharedOut};
use crate::scratch::Scratch;

/// Up to this many queries go this way.
pub(crate) const QUERIES: usize = 4;

/// See [`Attention::run`]; lengths have been checked.
pub(crate) fn run(
    isa: Isa,
    attention: &Attention<'_>,
    q: Operand<'_>,
    k: Operand<'_>,
    v: Operand<'_>,
    out: &SharedOut<'_>,
    out_strides: Strides,
) {
    let Attention { batch, heads, queries, keys, dim, .. } = *attention;
    let cost = 2 * batch * heads * queries * keys * dim;
    parallel::for_each(batch * heads * queries, cost, &|task| {
        let (item, head, query) = (task / (heads * queries), task / queries % heads, task % queries);
        let kv_head = attention.kv_head(head);
        let seen = attention.seen(item, query);
        let at = item * out_strides.batch + head * out_strides.head + query * out_strides.token;
        // SAFETY: each (item, head, query) is one task, and `Attention::check` refuses overlapping rows.
        let out = unsafe { out.part(at, dim) };
        out.fill(0.0);
        if seen == 0 {
            return;
        }
        let mut buffer = Scratch::floats(seen);
        let scores = buffer.as_floats();
        let keys_from = &k.values[item * k.strides.batch + kv_head * k.strides.head..];
        let values_from = &v.values[item * v.strides.batch + kv_head * v.strides.head..];
        score(isa, q.row(item, head, query, dim), keys_from, k.strides.token, scores);
        let mut scale = attention.scale;
        let mut sides = Scratch::floats(if attention.bias.is_some() { seen } else { 0 });
        let bias = attention.bias_of(item, head, query, 0..seen, sides.as_floats());
        if !bias.is_empty() {
            scale_and_add(isa, scores, scale, bias);
            scale = 1.0;
        }
        let (_, sum) = exp_scaled(isa, scores, scale, f32::NEG_INFINITY);
        mix(isa, scores, values_from, v.strides.token, out);
        multiply_by(isa, out, if sum > 0.0 { 1.0 / sum } else { 0.0 });
    });
}

per_isa! {
    /// `scores[j] = query . keys[j]`.
    fn score(query: &[f32], keys: &[f32], stride: usize, scores: &mut [f32]) {
        for (j, score) in scores.iter_mut().enumerate() {
            let key = &keys[j * stride..j * stride + query.len()];
            let mut lanes = [0.0_f32; 16];
            let (q_lines, q_rest) = query.as_chunks::<16>();
            let (k_lines, k_rest) = key.as_chunks::<16>();
            for (q, k) in q_lines.iter().zip(k_lines) {
                for ((lane, q), k) in lanes.iter_mut().zip(q).zip(k) {
                    *lane = mul_add::<FMA>(*q, *k, *lane);
                }
            }
            let mut half = [0.0_f32; 8];
            for i in 0..8 {
                half[i] = lanes[i] + lanes[i + 8];
            }
            let rest: f32 = q_rest.iter().zip(k_rest).map(|(q, k)| q * k).sum();
            *score = ((half[0] + half[4]) + (half[1] + half[5]))
                + ((half[2] + half[6]) + (half[3] + half[7]))
                + rest;
        }
    }
}

per_isa! {
    /// `scores = scale * scores + bias`.
    fn scale_and_add(scores: &mut [f32], scale: f32, bias: &[f32]) {
        for (score, bias) in scores.iter_mut().zip(bias) {
            *score = mul_add::<FMA>(*score, scale, *bias);
        }
    }
}

per_isa! {
    /// `out += sum of weights[j] * values[j]`.
    fn mix(weights: &[f32], values: &[f32], stride: usize, out: &mut [f32]) {
        let width = out.len();
        let (lines, rest) = out.as_chunks_mut::<64>();
        let done = 64 * lines.len();
        for (l, line) in lines.iter_mut().enumerate() {
            let mut sums = *line;
            for (j, weight) in weights.iter().enumerate() {
                let value = &values[j * stride + 64 * l..j * stride + 64 * l + 64];
                for (sum, value) in sums.iter_mut().zip(value) {
                    *sum = mul_add::<FMA>(*weight, *value, *sum);
                }
            }
            *line = sums;
        }
        if !rest.is_empty() {
            for (j, weight) in weights.iter().enumerate() {
                let value = &values[j * stride + done..j * stride + width];
                for (sum, value) in rest.iter_mut().zip(value) {
                    *sum = mul_add::<FMA>(*weight, *value, *sum);
                }
            }
        }
    }
}
