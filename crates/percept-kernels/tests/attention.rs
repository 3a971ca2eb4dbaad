//! Attention against f64, on every instruction set, in every layout that models use.

mod reference;

use percept_kernels::{Arithmetic, Attention, Operand, ScoreBias, Strides, Visible};
use reference::attention::{check, check_within, of, plain};
use reference::{assert_close, numbers, on_each_isa};

#[test]
fn every_size_on_and_off_the_blocks() {
    for (batch, heads, queries, keys, dim) in [
        (1, 1, 1, 1, 1),
        (2, 3, 1, 33, 64),
        (1, 2, 4, 100, 80),
        (1, 1, 5, 31, 7),
        (2, 2, 13, 32, 32),
        (1, 2, 49, 49, 33),
        (1, 1, 97, 197, 64),
        (1, 1, 50, 513, 16),
        (1, 1, 60, 1100, 24),
    ] {
        check(&of(batch, heads, queries, keys, dim), &format!("{batch} {heads} {queries} {keys} {dim}"));
    }
}

#[test]
fn queries_see_the_past_only() {
    for (queries, past) in [(1, 9), (3, 0), (4, 50), (60, 0), (37, 600)] {
        let visible = Visible::Past { past };
        check(&Attention { visible, ..of(2, 2, queries, queries + past, 16) }, &format!("{queries} {past}"));
    }
}

#[test]
fn padded_keys_do_not_count() {
    for queries in [2, 40] {
        let attention = Attention { key_lengths: Some(&[70, 1, 0]), ..of(3, 2, queries, 70, 20) };
        check(&attention, "padding");
        check(&Attention { visible: Visible::Past { past: 5 }, ..attention }, "padding and past");
    }
}

#[test]
fn a_bias_is_added_and_can_hide_keys() {
    for queries in [3, 49] {
        let (heads, keys) = (4, 49);
        let mut values = numbers(2 * heads * queries * keys, 9);
        values.iter_mut().step_by(7).for_each(|v| *v = f32::NEG_INFINITY);
        values[..keys].fill(f32::NEG_INFINITY);
        for (batch, head) in
            [(heads * queries * keys, queries * keys), (0, queries * keys), (queries * keys, 0), (0, 0)]
        {
            let bias = Some(ScoreBias::Full { values: &values, batch, head });
            check(&Attention { bias, ..of(2, heads, queries, keys, 8) }, &format!("bias {batch} {head}"));
        }
    }
}

#[test]
fn a_bias_in_two_parts_is_their_sum() {
    let (batch, heads) = (2, 3);
    for (queries, map) in [(2, [5, 7]), (60, [9, 41]), (33, [1, 300]), (12, [64, 8])] {
        let height = numbers(batch * heads * queries * map[0], 7);
        let width = numbers(batch * heads * queries * map[1], 8);
        let bias = Some(ScoreBias::Decomposed { height: &height, width: &width, map });
        let attention = of(batch, heads, queries, map[0] * map[1], 16);
        check(&Attention { bias, ..attention }, &format!("{queries} {map:?}"));
    }
}

#[test]
fn bf16_rounds_operands_and_weights() {
    for (queries, keys) in [(1, 20), (9, 33), (70, 600)] {
        let attention = Attention { arithmetic: Arithmetic::Bf16, ..of(2, 2, queries, keys, 40) };
        // 8 bits of the scores' terms (of size 9 / sqrt(40) each), and of weights and values.
        check_within(&attention, 2e-2, "bf16");
    }
}

#[test]
fn bf16x3_keeps_sixteen_bits_of_operands_and_weights() {
    for (queries, keys) in [(1, 20), (9, 33), (70, 600)] {
        let attention = Attention { arithmetic: Arithmetic::Bf16x3, ..of(2, 2, queries, keys, 40) };
        check_within(&attention, 1e-4, "bf16x3");
    }
}

#[test]
fn groups_of_heads_share_keys() {
    for queries in [1, 30] {
        check(&Attention { kv_heads: 2, ..of(2, 6, queries, 40, 16) }, "grouped");
    }
}

#[test]
fn a_fused_projection_needs_no_copies() {
    let (batch, heads, tokens, dim) = (2, 3, 65, 16);
    let width = heads * dim;
    let fused = numbers(batch * tokens * 3 * width, 4);
    let strides = Strides::tokens_first(tokens, 3 * width, dim);
    let [q, k, v] = [0, 1, 2].map(|part| Operand { values: &fused[part * width..], strides });
    let attention = of(batch, heads, tokens, tokens, dim);
    let wanted = plain(&attention, q, k, v);
    on_each_isa(|isa| {
        let mut out = vec![0.0; batch * tokens * width];
        attention.run(q, k, v, &mut out, Strides::tokens_first(tokens, width, dim));
        assert_close(&out, &wanted, 5e-6, &format!("{isa:?} fused"));
    });
}

#[test]
#[should_panic(expected = "rows overlap")]
fn overlapping_output_rows_are_refused() {
    let values = [0.0; 64];
    let operand = Operand { values: &values, strides: Strides::heads_first(2, 8, 4) };
    let overlapping = Strides { batch: 64, head: 2, token: 8 };
    of(1, 2, 8, 8, 4).run(operand, operand, operand, &mut [0.0; 128], overlapping);
}

#[test]
#[should_panic(expected = "k is too short")]
fn short_keys_are_refused() {
    let values = [0.0; 64];
    let strides = Strides::heads_first(2, 8, 4);
    let (operand, short) = (Operand { values: &values, strides }, Operand { values: &values[1..], strides });
    of(1, 2, 8, 8, 4).run(operand, short, operand, &mut [0.0; 64], strides);
}
