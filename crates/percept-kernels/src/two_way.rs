//! Attention between many pixels and a few tokens, both ways, in one pass over the pixels: they look at tokens, are
//! normalised, and are looked at by tokens of the next layer, while they are in cache.
//!
//! Tokens are so few that matrices are cheaper on their side: with `q = Wq x`, `k = Wk t` the score `q . k` is
//! `x . (Wq^T k)`, and `Wo (sum w (Wv t))` is `sum w (Wo Wv t)`. No pixel is multiplied by a matrix then, only by the
//! tokens, and both matrices of a head leave the pixels alone.

use crate::attention::{Arithmetic, Attention, Operand, Strides, Visible};
use crate::attention_blocks::{Block, KEYS, MOST_ROWS};
use crate::attention_form::{Form, Packed, Rows};
use crate::epilogue::COLUMNS;
use crate::isa::{Isa, isa};
use crate::math::{exp, per_isa};
use crate::norm::layer_norm_row;
use crate::parallel::{self, SharedOut};
use crate::scratch::{Scratch, filled};

/// Pixels of a task; sums over the parts are merged in order, whatever the threads.
const PART: usize = 4 * KEYS;
/// Heads at most.
const HEADS: usize = 32;

/// The shape of a pass, and what is the same for every item.
#[derive(Clone, Copy, Debug)]
pub struct TwoWay<'a> {
    /// Pixels of an item.
    pub pixels: usize,
    /// Channels of pixels and tokens.
    pub dim: usize,
    /// Heads of both attentions.
    pub heads: usize,
    /// Tokens, for each of which there is a row a head, `[tokens][heads]`.
    pub tokens: usize,
    /// What is added to pixels before scores, `[pixels, dim]`.
    pub positions: &'a [f32],
    /// What is added to every pixel after it has looked, `[dim]`.
    pub bias: &'a [f32],
    /// Weight and bias of the layer norm behind, `[dim]` each.
    pub norm: [&'a [f32]; 2],
    /// Of the norm.
    pub eps: f32,
    /// How exact products are.
    pub arithmetic: Arithmetic,
}

/// Rows for each item, token and head.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// What pixels are multiplied by for their scores, scale included, `[items, tokens * heads, dim]`.
    pub keys: &'a [f32],
    /// What is added to these scores, `[items, tokens * heads]`.
    pub offsets: &'a [f32],
    /// What pixels get by their weights, the sum over a head's tokens being 1, `[items, tokens * heads, dim]`.
    pub values: &'a [f32],
    /// What the pixels are multiplied by afterwards, scale included, `[items, tokens * heads, dim]`.
    pub queries: &'a [f32],
}

impl TwoWay<'_> {
    /// Whether there is room for the rows of as many tokens in as many heads.
    #[must_use]
    pub fn has_room(tokens: usize, heads: usize) -> bool {
        (1..=KEYS).contains(&(tokens * heads)) && heads <= HEADS
    }

    /// Of pixels `x`, `[items or 1, pixels, dim]`: `y = norm(x + attention(x + positions) + bias)` of the same shape for
    /// every item, and for every row of `queries` the mean of `y` by `softmax(queries . (y + positions))`, `[items,
    /// tokens * heads, dim]`.
    ///
    /// # Panics
    /// If lengths do not fit or [`TwoWay::has_room`] says no.
    #[must_use]
    pub fn run(&self, x: &[f32], look: &Look<'_>) -> (Vec<f32>, Vec<f32>) {
        let &Self { pixels, dim, heads, tokens, .. } = self;
        let (rows, map) = (tokens * heads, pixels * dim);
        assert!(Self::has_room(tokens, heads) && map > 0, "two-way: no room for {tokens} tokens");
        let items = look.offsets.len() / rows;
        assert!(x.len() == map || x.len() == items * map, "two-way: {} values of pixels", x.len());
        for (name, values) in [("keys", look.keys), ("values", look.values), ("queries", look.queries)] {
            assert_eq!(values.len(), items * rows * dim, "two-way: {name}");
        }
        assert!(look.offsets.len() == items * rows && self.positions.len() == map, "two-way: lengths");
        assert!([self.bias, self.norm[0], self.norm[1]].iter().all(|row| row.len() == dim));
        let isa = isa();
        let parts = pixels.div_ceil(PART);
        let mut partial = vec![0.0; items * parts * rows * (dim + 2)];
        let sums = SharedOut::new(&mut partial);
        let write = |made: &mut [f32]| {
            let shared = SharedOut::new(made);
            parallel::for_each(items * parts, 8 * items * map * rows, &|task| {
                let (item, part) = (task / parts, task % parts);
                let first = part * PART;
                let count = PART.min(pixels - first);
                let whole = if x.len() == map { x } else { &x[item * map..][..map] };
                let own = item * rows * dim..(item + 1) * rows * dim;
                let part = Part {
                    isa,
                    pass: self,
                    x: &whole[first * dim..][..count * dim],
                    positions: &self.positions[first * dim..][..count * dim],
                    look: Look {
                        keys: &look.keys[own.clone()],
                        offsets: &look.offsets[item * rows..(item + 1) * rows],
                        values: &look.values[own.clone()],
                        queries: &look.queries[own],
                    },
                };
                // SAFETY: each part of an item's pixels is one task's, and so are its sums.
                let (to, sums) = unsafe {
                    (
                        shared.part(item * map + first * dim, count * dim),
                        sums.part(task * rows * (dim + 2), rows * (dim + 2)),
                    )
                };
                parallel::serially(|| part.run(to, sums));
            });
        };
        // SAFETY: the parts write every pixel before they read it.
        let made = unsafe { filled(items * map, write) };
        (made, merged(&partial, [items, parts, rows, dim]))
    }
}

fn rows_of(values: &[f32], dim: usize) -> Operand<'_> {
    Operand { values, strides: Strides::tokens_first(KEYS, dim, dim) }
}

/// The pixels of one task.
struct Part<'a> {
    isa: Isa,
    pass: &'a TwoWay<'a>,
    x: &'a [f32],
    positions: &'a [f32],
    look: Look<'a>,
}

impl Part<'_> {
    /// Writes the pixels, and for each row of queries the mean of the pixels, the peak and the sum of the weights.
    fn run(&self, out: &mut [f32], sums: &mut [f32]) {
        let TwoWay { dim, heads, tokens, .. } = *self.pass;
        let rows = tokens * heads;
        let looking = self.attention(MOST_ROWS, rows);
        let form = Form::choose(self.isa, self.pass.arithmetic, MOST_ROWS);
        let seen = Packed::new(form, &looking, rows_of(self.look.keys, dim), rows_of(self.look.values, dim));
        let mut placed = Scratch::floats(KEYS * dim);
        let placed = placed.as_floats();
        let mut asking: Vec<(Rows, Block<'_>)> = Vec::new();
        for first in (0..out.len() / dim).step_by(KEYS) {
            let count = KEYS.min(out.len() / dim - first);
            for from in (first..first + count).step_by(MOST_ROWS) {
                let block = from..(from + MOST_ROWS).min(first + count);
                let placed = &mut placed[(from - first) * dim..][..block.len() * dim];
                self.look_at(
                    &looking,
                    &seen,
                    block.start,
                    placed,
                    &mut out[block.start * dim..block.end * dim],
                );
            }
            // What is left at the end has fewer keys than a block has.
            let last = self.attention(rows, count);
            let form = Form::choose(self.isa, self.pass.arithmetic, rows);
            let made = Packed::new(
                form,
                &last,
                rows_of(&placed[..count * dim], dim),
                rows_of(&out[first * dim..][..count * dim], dim),
            );
            if asking.is_empty() {
                asking = (0..rows)
                    .step_by(MOST_ROWS)
                    .map(|first| {
                        let block = first..(first + MOST_ROWS).min(rows);
                        let mut staged = Rows::new(form, block.len(), dim);
                        for (row, query) in block.clone().enumerate() {
                            staged.stage(form, row, &self.look.queries[query * dim..][..dim]);
                        }
                        (staged, Block::new(&last, &made, 0, 0, block))
                    })
                    .collect();
            }
            for (staged, block) in &mut asking {
                block.step(&made, staged, count);
            }
        }
        let mut to = sums.chunks_exact_mut(dim + 2);
        for (_, block) in &mut asking {
            for r in 0..block.len() {
                if let Some(to) = to.next() {
                    let running = block.running(r);
                    to[dim..].copy_from_slice(&[running.peak, running.sum]);
                    block.finish(r, &mut to[..dim]);
                }
            }
        }
    }

    /// Pixels from `first` on look at the tokens. Writes them to `out`, and with their positions to `placed`.
    fn look_at(
        &self,
        looking: &Attention<'_>,
        seen: &Packed,
        first: usize,
        placed: &mut [f32],
        out: &mut [f32],
    ) {
        let TwoWay { dim, heads, tokens, norm: [weight, bias], eps, .. } = *self.pass;
        let (form, count, panels) = (seen.form(), out.len() / dim, (tokens * heads).div_ceil(COLUMNS));
        let x = &self.x[first * dim..][..out.len()];
        let positions = &self.positions[first * dim..][..out.len()];
        let mut staged = Rows::new(form, count, dim);
        for (row, to) in placed.chunks_exact_mut(dim).enumerate() {
            sum(self.isa, &x[row * dim..][..dim], &positions[row * dim..][..dim], to);
            staged.stage(form, row, to);
        }
        let mut block = Block::new(looking, seen, 0, 0, 0..count);
        block.score(seen, &staged, 0..panels);
        let mut weights = Rows::new(form, count, panels * COLUMNS);
        for row in 0..count {
            let scores = &mut block.scores_of(row)[..panels * COLUMNS];
            share(self.isa, scores, self.look.offsets, heads);
            weights.stage(form, row, scores);
        }
        block.mix(seen, &weights, 0..panels);
        let mut buffer = Scratch::floats(dim);
        let line = buffer.as_floats();
        for (row, (to, placed)) in out.chunks_exact_mut(dim).zip(placed.chunks_exact_mut(dim)).enumerate() {
            block.write(row, 1.0, to);
            residual(self.isa, to, &x[row * dim..][..dim], self.pass.bias, line);
            layer_norm_row(self.isa, line, Some(weight), Some(bias), eps, to);
            sum(self.isa, to, &positions[row * dim..][..dim], placed);
        }
    }

    /// As many queries over as many keys in one head of all channels.
    fn attention(&self, queries: usize, keys: usize) -> Attention<'static> {
        Attention {
            batch: 1,
            heads: 1,
            kv_heads: 1,
            queries,
            keys,
            dim: self.pass.dim,
            scale: 1.0,
            visible: Visible::All,
            key_lengths: None,
            bias: None,
            arithmetic: self.pass.arithmetic,
        }
    }
}

/// The means over all parts of an item.
fn merged(partial: &[f32], [items, parts, rows, dim]: [usize; 4]) -> Vec<f32> {
    let mut out = vec![0.0; items * rows * dim];
    for (row, to) in out.chunks_exact_mut(dim).enumerate() {
        let (item, row) = (row / rows, row % rows);
        let part = |part: usize| &partial[((item * parts + part) * rows + row) * (dim + 2)..][..dim + 2];
        let peak = (0..parts).map(|index| part(index)[dim]).fold(f32::NEG_INFINITY, f32::max);
        let weight = |index: usize| part(index)[dim + 1] * (part(index)[dim] - peak).exp2();
        let all: f32 = (0..parts).map(weight).sum();
        for index in 0..parts {
            let share = weight(index) / all;
            to.iter_mut().zip(part(index)).for_each(|(to, value)| *to += share * value);
        }
    }
    out
}

per_isa! {
    fn sum(a: &[f32], b: &[f32], out: &mut [f32]) {
        out.iter_mut().zip(a).zip(b).for_each(|((out, a), b)| *out = a + b);
    }
}

per_isa! {
    fn residual(a: &[f32], b: &[f32], c: &[f32], out: &mut [f32]) {
        out.iter_mut().zip(a).zip(b).zip(c).for_each(|(((out, a), b), c)| *out = a + b + c);
    }
}

per_isa! {
    /// Replaces a row of scores `[tokens][heads]` by each head's softmax over the tokens, and what is behind by zeros.
    fn share(row: &mut [f32], offsets: &[f32], heads: usize) {
        // The usual number is one that the compiler knows.
        match heads {
            8 => share_of::<FMA>(row, offsets, 8),
            _ => share_of::<FMA>(row, offsets, heads),
        }
    }
}

#[inline(always)]
fn share_of<const FMA: bool>(row: &mut [f32], offsets: &[f32], heads: usize) {
    let (row, behind) = row.split_at_mut(offsets.len());
    behind.fill(0.0);
    let (mut peaks, mut sums) = ([f32::NEG_INFINITY; HEADS], [0.0_f32; HEADS]);
    for (line, offsets) in row.chunks_exact_mut(heads).zip(offsets.chunks_exact(heads)) {
        for ((value, offset), peak) in line.iter_mut().zip(offsets).zip(&mut peaks[..heads]) {
            *value += offset;
            *peak = if *value > *peak { *value } else { *peak };
        }
    }
    for line in row.chunks_exact_mut(heads) {
        for ((value, peak), sum) in line.iter_mut().zip(&peaks[..heads]).zip(&mut sums[..heads]) {
            *value = exp::<FMA>(*value - peak);
            *sum += *value;
        }
    }
    for sum in &mut sums[..heads] {
        *sum = 1.0 / *sum;
    }
    for line in row.chunks_exact_mut(heads) {
        for (value, factor) in line.iter_mut().zip(&sums[..heads]) {
            *value *= factor;
        }
    }
}
