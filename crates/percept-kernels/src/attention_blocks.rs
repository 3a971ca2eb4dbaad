//! Attention for many queries: blocks of queries by blocks of keys, through the matrix product's tiles.

use crate::attention::{Attention, Operand, Strides};
use crate::attention_form::{Form, Packed, Rows};
use crate::attention_soften::{Running, soften};
use crate::epilogue::{COLUMNS, MAX_ROWS, Tile};
use crate::isa::Isa;
use crate::math::{mul_add, per_isa};
use crate::norm::multiply_by;
use crate::parallel::{self, SharedOut};
use crate::product::tile_mut;
use crate::scratch::Scratch;
use crate::tile::{Engine, Kind, Operands};
use std::ops::Range;

/// Panels of 32 keys in a block of keys.
const PANELS: usize = 8;
/// Scores in a row of a block. Rows start 1 KB apart on purpose: the lines of one tile then share four
/// offsets in their pages. Were they spread over all offsets, as in 4 KB without gaps, every load that
/// follows would look to the processor as if it might read what was just stored, and wait (a tile of a head
/// of 64 channels then takes three times as long).
pub(crate) const KEYS: usize = PANELS * COLUMNS;
/// Queries of a block at most: two AMX tiles, or four of vectors.
pub(crate) const MOST_ROWS: usize = 64;
/// Numbers in a tile.
const TILE: usize = MAX_ROWS * COLUMNS;

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
    let form = Form::choose(isa, attention.arithmetic, queries);
    let packed = Packed::new(form, attention, k, v);
    // AMX computes whole tiles, so that all blocks but the last are full; the others share rows evenly.
    let (blocks, block_rows) = match form.kind {
        Kind::Amx => (queries.div_ceil(MOST_ROWS), MOST_ROWS),
        kind => {
            let blocks = queries.div_ceil(4 * kind.rows());
            (blocks, queries.div_ceil(blocks))
        }
    };
    let cost = 2 * batch * heads * queries * keys * dim;
    parallel::for_each(batch * heads * blocks, cost, &|task| {
        let (item, head, block) = (task / (heads * blocks), task / blocks % heads, task % blocks);
        let rows = block * block_rows..((block + 1) * block_rows).min(queries);
        if rows.is_empty() {
            return;
        }
        let mut work = Block::new(attention, &packed, item, head, rows.clone());
        work.run(&packed, q);
        for (r, query) in rows.enumerate() {
            let at = item * out_strides.batch + head * out_strides.head + query * out_strides.token;
            // SAFETY: each (item, head, query) is in one task, and `Attention::check` refuses overlapping rows.
            work.finish(r, unsafe { out.part(at, dim) });
        }
    });
}

/// The running softmax of a block of queries of one head.
pub(crate) struct Block<'a> {
    form: Form,
    attention: Attention<'a>,
    /// Panels of channels.
    columns: usize,
    item: usize,
    head: usize,
    queries: Range<usize>,
    engine: Engine,
    /// Rows of one tile, and tiles.
    tile_rows: usize,
    tiles: usize,
    /// Scores as rows of `KEYS`.
    scores: Scratch,
    /// Sums of weighted values as tiles `[row tile][panel of channels]`.
    outputs: Scratch,
    running: [Running; MOST_ROWS],
}

impl<'a> Block<'a> {
    pub(crate) fn new(
        attention: &Attention<'a>,
        packed: &Packed,
        item: usize,
        head: usize,
        queries: Range<usize>,
    ) -> Self {
        let form = packed.form();
        let count = queries.len();
        let tile_rows = match form.kind {
            Kind::Amx => MAX_ROWS,
            kind => count.div_ceil(count.div_ceil(kind.rows())),
        };
        let tiles = count.div_ceil(tile_rows);
        let mut outputs = Scratch::floats(tiles * packed.columns * TILE);
        outputs.as_floats().fill(0.0);
        Self {
            form,
            attention: *attention,
            columns: packed.columns,
            item,
            head,
            queries,
            // SAFETY: `choose` only answers kinds that the processor has.
            engine: unsafe { form.kind.start() },
            tile_rows,
            tiles,
            scores: Scratch::floats(count.next_multiple_of(MAX_ROWS) * KEYS),
            outputs,
            running: [Running::START; MOST_ROWS],
        }
    }

    fn run(&mut self, packed: &Packed, q: Operand<'_>) {
        let Attention { dim, .. } = self.attention;
        let mut staged = Rows::new(self.form, self.queries.len(), dim);
        for (row, query) in self.queries.clone().enumerate() {
            staged.stage(self.form, row, q.row(self.item, self.head, query, dim));
        }
        let mut weights = Rows::new(self.form, self.queries.len(), KEYS);
        let mut buffer = Scratch::floats(KEYS);
        let panels = self.attention.seen(self.item, self.queries.end - 1).div_ceil(COLUMNS);
        for first in (0..panels).step_by(PANELS) {
            let panels = first..(first + PANELS).min(panels);
            self.score(packed, &staged, panels.clone());
            self.soften(panels.clone(), buffer.as_floats(), &mut weights);
            self.mix(packed, &weights, panels);
        }
    }

    /// Queries.
    pub(crate) fn len(&self) -> usize {
        self.queries.len()
    }

    /// Goes on over all of `packed`, `keys` keys that every query sees.
    pub(crate) fn step(&mut self, packed: &Packed, staged: &Rows, keys: usize) {
        let panels = 0..keys.div_ceil(COLUMNS);
        self.attention.keys = keys;
        let mut weights = Rows::new(self.form, self.queries.len(), KEYS);
        self.score(packed, staged, panels.clone());
        self.soften(panels.clone(), &mut [], &mut weights);
        self.mix(packed, &weights, panels);
    }

    /// Rows of a row tile.
    fn rows(&self, tile: usize) -> usize {
        self.tile_rows.min(self.queries.len() - tile * self.tile_rows)
    }

    /// The index of the head's keys and values.
    fn side(&self) -> usize {
        self.item * self.attention.kv_heads + self.attention.kv_head(self.head)
    }

    /// `scores = q . keys`, unscaled.
    pub(crate) fn score(&mut self, packed: &Packed, staged: &Rows, panels: Range<usize>) {
        let steps = self.form.steps(self.attention.dim);
        for (index, panel) in panels.enumerate() {
            for tile in 0..self.tiles {
                let right = packed.keys(self.side(), panel);
                let at = Operands {
                    left: staged.from(tile * self.tile_rows).as_ptr(),
                    left_stride: staged.stride,
                    right: right.as_ptr(),
                    right_stride: 4 * COLUMNS,
                    steps,
                    resume: false,
                    ahead: right.as_ptr().wrapping_add(right.len()),
                };
                let rows = self.rows(tile);
                let to = &mut self.scores.as_floats()[tile * self.tile_rows * KEYS + index * COLUMNS..];
                // SAFETY: rows are staged, and scores have room, up to whole AMX tiles; the panel holds the
                // depth of a head.
                unsafe { self.engine.rows(self.form.numbers, rows, at, to, KEYS) };
            }
        }
    }

    /// Turns scores into weights relative to each row's new peak, and shrinks what was summed before.
    pub(crate) fn soften(&mut self, panels: Range<usize>, buffer: &mut [f32], weights: &mut Rows) {
        let first = panels.start * COLUMNS;
        let keys = first..(panels.end * COLUMNS).min(self.attention.keys);
        for (r, query) in self.queries.clone().enumerate() {
            let seen = self.attention.seen(self.item, query).saturating_sub(first).min(keys.len());
            let bias = self.attention.bias_of(self.item, self.head, query, keys.clone(), buffer);
            let row = &mut self.scores.as_floats()[r * KEYS..][..panels.len() * COLUMNS];
            let fresh = self.running[r].sum == 0.0;
            let shrink = soften(self.form.isa, row, seen, self.attention.scale, bias, &mut self.running[r]);
            weights.stage(self.form, r, row);
            if !fresh && shrink != 1.0 {
                let (tile, line) = (r / self.tile_rows, r % self.tile_rows);
                for column in 0..self.columns {
                    let at = (tile * self.columns + column) * TILE + line * COLUMNS;
                    multiply_by(self.form.isa, &mut self.outputs.as_floats()[at..at + COLUMNS], shrink);
                }
            }
        }
    }

    /// `outputs += weights . values`.
    pub(crate) fn mix(&mut self, packed: &Packed, weights: &Rows, panels: Range<usize>) {
        let mut own = Tile::zeroed();
        for column in 0..self.columns {
            for tile in 0..self.tiles {
                let right = packed.values(self.side(), column, panels.clone());
                let at = Operands {
                    left: weights.from(tile * self.tile_rows).as_ptr(),
                    left_stride: weights.stride,
                    right: right.as_ptr(),
                    right_stride: 4 * COLUMNS,
                    steps: self.form.steps(panels.len() * COLUMNS),
                    resume: true,
                    ahead: right.as_ptr(),
                };
                let rows = self.rows(tile);
                let sums = tile_mut(&mut self.outputs, tile * self.columns + column);
                if self.form.kind == Kind::Amx {
                    // SAFETY: the weights are staged up to whole AMX tiles; `right` has their depth.
                    unsafe { self.engine.tile(self.form.numbers, rows, at, sums) };
                } else {
                    // SAFETY: `rows` rows of weights and a line of values for each key are there.
                    unsafe { self.engine.tile(self.form.numbers, rows, at, &mut own) };
                    add_tile(self.form.isa, &own, rows, sums);
                }
            }
        }
    }

    /// The scores of one row, `KEYS` of them.
    pub(crate) fn scores_of(&mut self, r: usize) -> &mut [f32] {
        &mut self.scores.as_floats()[r * KEYS..][..KEYS]
    }

    /// The peak and the sum of the weights of one row.
    pub(crate) fn running(&self, r: usize) -> Running {
        self.running[r]
    }

    /// Writes the output of one row.
    pub(crate) fn finish(&mut self, r: usize, out: &mut [f32]) {
        let sum = self.running[r].sum;
        self.write(r, if sum > 0.0 { 1.0 / sum } else { 0.0 }, out);
    }

    /// Writes what was summed in one row, times `factor`.
    pub(crate) fn write(&mut self, r: usize, factor: f32, out: &mut [f32]) {
        let (tile, line) = (r / self.tile_rows, r % self.tile_rows);
        for (column, out) in out.chunks_mut(COLUMNS).enumerate() {
            let at = (tile * self.columns + column) * TILE + line * COLUMNS;
            out.copy_from_slice(&self.outputs.as_floats()[at..at + out.len()]);
            multiply_by(self.form.isa, out, factor);
        }
    }
}

per_isa! {
    /// Adds the rows of a tile to another.
    fn add_tile(tile: &Tile, rows: usize, to: &mut Tile) {
        for (to, value) in to.0[..rows * COLUMNS].iter_mut().zip(&tile.0) {
            *to = mul_add::<FMA>(1.0, *value, *to);
        }
    }
}
