//! Attention for many queries: blocks of queries by blocks of keys, through the matrix product's tiles.

use crate::attention::{Attention, Operand, Strides};
use crate::attention_few::scale_and_add;
use crate::epilogue::{COLUMNS, Tile};
use crate::isa::Isa;
use crate::math::{mul_add, per_isa};
use crate::norm::{exp_scaled, multiply_by};
use crate::parallel::{self, SharedOut};
use crate::scratch::{Scratch, as_bytes};
use crate::tile::{Engine, Kind, Numbers, Operands};

/// Queries of a block at most: four tiles.
const QUERIES: usize = 48;
/// Keys of a block: their scores for a block of queries take 100 KB.
const KEYS: usize = 512;
/// From one row of scores to the next; not a power of two, so that rows fall into different cache sets.
const SCORE_STRIDE: usize = KEYS + 16;

/// Keys as panels of 32 (`[dim][32]`), values as panels of 32 columns (`[keys][32]`), for each batch and head.
struct Packed<'a> {
    keys: &'a [f32],
    values: &'a [f32],
    /// Keys, rounded up to whole panels.
    key_room: usize,
    /// Columns of values, rounded up to whole panels.
    column_room: usize,
}

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
    let Attention { batch, heads, kv_heads, queries, keys, dim, .. } = *attention;
    let (key_room, column_room) = (keys.next_multiple_of(COLUMNS), dim.next_multiple_of(COLUMNS));
    let mut key_panels = Scratch::floats(batch * kv_heads * key_room * dim);
    let mut value_panels = Scratch::floats(batch * kv_heads * key_room * column_room);
    pack(isa, attention, k, v, key_panels.as_floats(), value_panels.as_floats());
    let packed =
        Packed { keys: key_panels.as_floats(), values: value_panels.as_floats(), key_room, column_room };

    let blocks = queries.div_ceil(QUERIES);
    let block_rows = queries.div_ceil(blocks);
    let cost = 2 * batch * heads * queries * keys * dim;
    parallel::for_each(batch * heads * blocks, cost, &|task| {
        let (item, head, block) = (task / (heads * blocks), task / blocks % heads, task % blocks);
        let rows = block * block_rows..((block + 1) * block_rows).min(queries);
        let mut work = Block::new(isa, attention, item, head, rows.clone());
        work.run(q, &packed);
        for (r, query) in rows.enumerate() {
            let at = item * out_strides.batch + head * out_strides.head + query * out_strides.token;
            // SAFETY: each (item, head, query) is in one task, and `Attention::check` refuses overlapping rows.
            let out = unsafe { out.part(at, dim) };
            let sum = work.sums[r];
            out.copy_from_slice(&work.outputs.as_floats()[r * column_room..][..dim]);
            multiply_by(isa, out, if sum > 0.0 { 1.0 / sum } else { 0.0 });
        }
    });
}

/// Copies keys and values into panels, in parallel.
fn pack(
    isa: Isa,
    attention: &Attention<'_>,
    k: Operand<'_>,
    v: Operand<'_>,
    key_panels: &mut [f32],
    value_panels: &mut [f32],
) {
    let Attention { batch, kv_heads, keys, dim, .. } = *attention;
    let panels = keys.div_ceil(COLUMNS);
    let column_panels = dim.div_ceil(COLUMNS);
    let (to_keys, to_values) = (SharedOut::new(key_panels), SharedOut::new(value_panels));
    parallel::for_each(batch * kv_heads * panels, 4 * batch * kv_heads * keys * dim, &|task| {
        let (item, head, panel) = (task / (kv_heads * panels), task / panels % kv_heads, task % panels);
        let first = panel * COLUMNS;
        let count = COLUMNS.min(keys - first);
        // SAFETY: each panel of keys is one task's.
        let key_panel = unsafe { to_keys.part(task * COLUMNS * dim, COLUMNS * dim) };
        let keys_from = &k.values[item * k.strides.batch + head * k.strides.head + first * k.strides.token..];
        transpose(isa, keys_from, k.strides.token, count, key_panel);
        for columns in 0..column_panels {
            let width = COLUMNS.min(dim - columns * COLUMNS);
            let whole = (item * kv_heads + head) * panels * column_panels + columns * panels + panel;
            // SAFETY: each panel of keys is one task's, and with it these rows of the panels of values.
            let lines = unsafe { to_values.part(whole * COLUMNS * COLUMNS, COLUMNS * COLUMNS) };
            for (r, line) in lines.chunks_exact_mut(COLUMNS).enumerate() {
                line.fill(0.0);
                if r < count {
                    let row = v.row(item, head, first + r, dim);
                    line[..width].copy_from_slice(&row[columns * COLUMNS..][..width]);
                }
            }
        }
    });
}

per_isa! {
    /// `panel[d][32]` from up to 32 rows `stride` apart; columns without a row become zero.
    fn transpose(from: &[f32], stride: usize, count: usize, panel: &mut [f32]) {
        let dim = panel.len() / COLUMNS;
        if count < COLUMNS {
            panel.fill(0.0);
        }
        for c in 0..count {
            let row = &from[c * stride..c * stride + dim];
            for (line, value) in panel.chunks_exact_mut(COLUMNS).zip(row) {
                line[c] = *value;
            }
        }
    }
}

/// The running softmax of a block of queries of one head.
struct Block<'a> {
    isa: Isa,
    attention: &'a Attention<'a>,
    item: usize,
    head: usize,
    queries: std::ops::Range<usize>,
    engine: Engine,
    tile: Tile,
    /// Rows of one tile.
    tile_rows: usize,
    scores: Scratch,
    outputs: Scratch,
    peaks: [f32; QUERIES],
    sums: [f32; QUERIES],
}

impl<'a> Block<'a> {
    fn new(
        isa: Isa,
        attention: &'a Attention<'a>,
        item: usize,
        head: usize,
        queries: std::ops::Range<usize>,
    ) -> Self {
        let kind = Kind::choose(isa, Numbers::F32, queries.len());
        let count = queries.len();
        let width = attention.dim.next_multiple_of(COLUMNS);
        let mut outputs = Scratch::floats(QUERIES * width);
        outputs.as_floats().fill(0.0);
        Self {
            isa,
            attention,
            item,
            head,
            queries,
            // SAFETY: `choose` only answers kinds that the processor has.
            engine: unsafe { kind.start() },
            tile: Tile::zeroed(),
            tile_rows: count.div_ceil(count.div_ceil(kind.rows())),
            scores: Scratch::floats(QUERIES * SCORE_STRIDE),
            outputs,
            peaks: [f32::NEG_INFINITY; QUERIES],
            sums: [0.0; QUERIES],
        }
    }

    fn run(&mut self, q: Operand<'_>, packed: &Packed<'_>) {
        let last = self.queries.end - 1;
        let seen = self.attention.seen(self.item, last);
        for first in (0..seen).step_by(KEYS) {
            let keys = first..(first + KEYS).min(seen);
            self.score(q, packed, keys.clone());
            self.soften(keys.clone());
            self.mix(packed, keys);
        }
    }

    /// Rows of the block, tile by tile: first row and count.
    fn tiles(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (rows, count) = (self.tile_rows, self.queries.len());
        (0..count).step_by(rows).map(move |row| (row, rows.min(count - row)))
    }

    /// `scores = q . keys`, unscaled.
    fn score(&mut self, q: Operand<'_>, packed: &Packed<'_>, keys: std::ops::Range<usize>) {
        let dim = self.attention.dim;
        let kv_head = self.attention.kv_head(self.head);
        let base = (self.item * self.attention.kv_heads + kv_head) * packed.key_room * dim;
        for panel in keys.start / COLUMNS..keys.end.div_ceil(COLUMNS) {
            let right = &packed.keys[base + panel * COLUMNS * dim..][..COLUMNS * dim];
            let column = panel * COLUMNS - keys.start;
            for (row, rows) in self.tiles() {
                // Checked once for the last row, whose values end furthest on.
                q.row(self.item, self.head, self.queries.start + row + rows - 1, dim);
                let left = q.row(self.item, self.head, self.queries.start + row, dim);
                let at = Operands {
                    left: as_bytes(left).as_ptr(),
                    left_stride: 4 * q.strides.token,
                    right: as_bytes(right).as_ptr(),
                    right_stride: 4 * COLUMNS,
                    steps: dim,
                    resume: false,
                    ahead: std::ptr::null(),
                };
                // SAFETY: `rows` rows of `dim` values `token` apart lie in `q`, as `Operand::row` checked; the
                // panel holds `dim` lines.
                unsafe { self.engine.tile(Numbers::F32, rows, at, &mut self.tile) };
                let scores = self.scores.as_floats();
                for (r, line) in self.tile.0.chunks_exact(COLUMNS).take(rows).enumerate() {
                    scores[(row + r) * SCORE_STRIDE + column..][..COLUMNS].copy_from_slice(line);
                }
            }
        }
    }

    /// Turns scores into weights relative to each row's new peak, and rescales what was summed before.
    fn soften(&mut self, keys: std::ops::Range<usize>) {
        let width = self.attention.dim.next_multiple_of(COLUMNS);
        for (r, query) in self.queries.clone().enumerate() {
            let seen = self.attention.seen(self.item, query).clamp(keys.start, keys.end) - keys.start;
            let row = &mut self.scores.as_floats()[r * SCORE_STRIDE..][..keys.len()];
            let (visible, hidden) = row.split_at_mut(seen);
            hidden.fill(0.0);
            let mut scale = self.attention.scale;
            if let Some(bias) = self.attention.bias_row(self.item, self.head, query) {
                scale_and_add(self.isa, visible, scale, &bias[keys.start..keys.start + seen]);
                scale = 1.0;
            }
            let old = self.peaks[r];
            let (peak, sum) = exp_scaled(self.isa, visible, scale, old);
            if peak > old {
                self.peaks[r] = peak;
                if self.sums[r] > 0.0 {
                    let shrink = (old - peak).exp();
                    self.sums[r] *= shrink;
                    multiply_by(self.isa, &mut self.outputs.as_floats()[r * width..][..width], shrink);
                }
            }
            self.sums[r] += sum;
        }
    }

    /// `outputs += weights . values`.
    fn mix(&mut self, packed: &Packed<'_>, keys: std::ops::Range<usize>) {
        let kv_head = self.attention.kv_head(self.head);
        let base = (self.item * self.attention.kv_heads + kv_head) * packed.key_room * packed.column_room;
        for column in (0..packed.column_room).step_by(COLUMNS) {
            let from = base + column * packed.key_room + keys.start * COLUMNS;
            let right = &packed.values[from..][..keys.len() * COLUMNS];
            for (row, rows) in self.tiles() {
                let left = &self.scores.as_floats()[row * SCORE_STRIDE..][..rows * SCORE_STRIDE];
                let at = Operands {
                    left: as_bytes(left).as_ptr(),
                    left_stride: 4 * SCORE_STRIDE,
                    right: as_bytes(right).as_ptr(),
                    right_stride: 4 * COLUMNS,
                    steps: keys.len(),
                    resume: false,
                    ahead: std::ptr::null(),
                };
                // SAFETY: `rows` rows of scores and a line of values for each key, as sliced above.
                unsafe { self.engine.tile(Numbers::F32, rows, at, &mut self.tile) };
                let out = &mut self.outputs.as_floats()[row * packed.column_room..];
                add_tile(self.isa, &self.tile, rows, &mut out[column..], packed.column_room);
            }
        }
    }
}

per_isa! {
    /// Adds a tile to rows `stride` apart.
    fn add_tile(tile: &Tile, rows: usize, out: &mut [f32], stride: usize) {
        for (r, line) in tile.0.chunks_exact(COLUMNS).take(rows).enumerate() {
            for (out, value) in out[r * stride..r * stride + COLUMNS].iter_mut().zip(line) {
                *out = mul_add::<FMA>(1.0, *value, *out);
            }
        }
    }
}
