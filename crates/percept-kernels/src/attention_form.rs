//! The number formats in which blocks of attention are multiplied, and how their operands are laid out.

use crate::attention::{Arithmetic, Attention, Operand};
use crate::epilogue::COLUMNS;
use crate::isa::Isa;
use crate::linear_bf16;
use crate::parallel::{self, SharedOut};
use crate::scratch::{Scratch, as_bytes_mut, cast_mut};
use crate::split::{self, Parts};
use crate::strided::transpose;
use crate::tile::{AMX_ROWS, Kind, Numbers};

/// Number format and code of both products.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    pub(crate) isa: Isa,
    pub(crate) numbers: Numbers,
    pub(crate) kind: Kind,
}

impl Form {
    /// AMX where there is AMX and enough queries for it, in one to three bf16 parts; else f32.
    pub(crate) fn choose(isa: Isa, arithmetic: Arithmetic, queries: usize) -> Self {
        let numbers = match arithmetic {
            _ if isa < Isa::Amx || queries <= AMX_ROWS => Numbers::F32,
            Arithmetic::F32 | Arithmetic::Bf16x3 => Numbers::Split(Parts::of(arithmetic)),
            Arithmetic::Bf16 => Numbers::Bf16,
        };
        Self { isa, numbers, kind: Kind::choose(isa, numbers, queries) }
    }

    /// Bytes of a row of `depth` numbers on the left side.
    pub(crate) fn row_bytes(self, depth: usize) -> usize {
        match self.numbers {
            Numbers::Split(parts) => split::row_bytes(depth, parts),
            Numbers::Bf16 => linear_bf16::row_bytes(depth),
            _ => 4 * depth,
        }
    }

    /// Steps of [`crate::tile::Operands`] over `depth` numbers.
    pub(crate) fn steps(self, depth: usize) -> usize {
        if self.kind == Kind::Amx { depth.div_ceil(32) } else { depth }
    }

    /// Writes a row for the left side, zero padding included.
    pub(crate) fn stage_row(self, from: &[f32], to: &mut [u8]) {
        match self.numbers {
            Numbers::Split(parts) => split::split_row(self.isa, from, cast_mut(to), parts),
            Numbers::Bf16 => linear_bf16::stage_row(self.isa, from, cast_mut(to)),
            _ => cast_mut::<f32>(to)[..from.len()].copy_from_slice(from),
        }
    }

    /// Writes a panel `[depth][32]` for the right side, zero padding included.
    fn stage_panel(self, from: &[f32], to: &mut [u8]) {
        match self.numbers {
            Numbers::Split(parts) => split::split_panel(self.isa, from, cast_mut(to), parts),
            Numbers::Bf16 => linear_bf16::stage_panel(self.isa, from, cast_mut(to)),
            _ => cast_mut::<f32>(to).copy_from_slice(from),
        }
    }
}

/// Keys as panels of 32 (the depth is a head's channels) and values as panels of 32 channels (the depth is
/// the keys), for each item and head of keys and values.
pub(crate) struct Packed {
    form: Form,
    keys: Scratch,
    values: Scratch,
    /// Panels of keys, and of channels.
    panels: usize,
    pub(crate) columns: usize,
    /// Bytes of 32 keys in `keys`, and in one panel of `values`.
    key_bytes: usize,
    value_bytes: usize,
}

impl Packed {
    /// Packs keys and values, in parallel.
    pub(crate) fn new(form: Form, attention: &Attention<'_>, k: Operand<'_>, v: Operand<'_>) -> Self {
        let Attention { batch, kv_heads, keys, dim, .. } = *attention;
        let (panels, columns) = (keys.div_ceil(COLUMNS), dim.div_ceil(COLUMNS));
        let key_bytes = form.row_bytes(dim) * COLUMNS;
        let value_bytes = form.row_bytes(COLUMNS) * COLUMNS;
        let sides = batch * kv_heads;
        let mut packed = Self {
            form,
            keys: Scratch::bytes(sides * panels * key_bytes),
            values: Scratch::bytes(sides * panels * columns * value_bytes),
            panels,
            columns,
            key_bytes,
            value_bytes,
        };
        let (to_keys, to_values) =
            (SharedOut::new(packed.keys.as_floats()), SharedOut::new(packed.values.as_floats()));
        parallel::for_each(sides * panels, 8 * sides * keys * dim, &|task| {
            let (item, head, panel) = (task / (kv_heads * panels), task / panels % kv_heads, task % panels);
            let first = panel * COLUMNS;
            let count = COLUMNS.min(keys - first);
            let mut buffer = Scratch::floats(COLUMNS * dim.max(COLUMNS));
            let lines = buffer.as_floats();
            let from = &k.values[item * k.strides.batch + head * k.strides.head + first * k.strides.token..];
            transpose(form.isa, from, k.strides.token, count, &mut lines[..COLUMNS * dim]);
            // SAFETY: each panel of keys is one task's.
            let to = unsafe { to_keys.part(task * key_bytes / 4, key_bytes / 4) };
            form.stage_panel(&lines[..COLUMNS * dim], as_bytes_mut(to));
            for column in 0..columns {
                let width = COLUMNS.min(dim - column * COLUMNS);
                let lines = &mut lines[..COLUMNS * COLUMNS];
                lines.fill(0.0);
                for (r, line) in lines.chunks_exact_mut(COLUMNS).take(count).enumerate() {
                    let row = v.row(item, head, first + r, dim);
                    line[..width].copy_from_slice(&row[column * COLUMNS..][..width]);
                }
                let whole = ((item * kv_heads + head) * columns + column) * panels + panel;
                // SAFETY: each panel of keys is one task's, and with it these rows of the panels of values.
                let to = unsafe { to_values.part(whole * value_bytes / 4, value_bytes / 4) };
                form.stage_panel(lines, as_bytes_mut(to));
            }
        });
        packed
    }

    /// One panel of 32 keys.
    pub(crate) fn keys(&self, side: usize, panel: usize) -> &[u8] {
        &self.keys[(side * self.panels + panel) * self.key_bytes..][..self.key_bytes]
    }

    /// The values of the keys in `panels`, 32 channels of them.
    pub(crate) fn values(&self, side: usize, column: usize, panels: std::ops::Range<usize>) -> &[u8] {
        let first = (side * self.columns + column) * self.panels;
        &self.values[(first + panels.start) * self.value_bytes..(first + panels.end) * self.value_bytes]
    }

    /// How both are laid out.
    pub(crate) fn form(&self) -> Form {
        self.form
    }
}

/// Rows of numbers staged for the left side, spread over the sets of the cache.
pub(crate) struct Rows {
    bytes: Scratch,
    pub(crate) stride: usize,
}

impl Rows {
    /// Room for `rows` rows of up to `depth` numbers, whole AMX tiles included.
    pub(crate) fn new(form: Form, rows: usize, depth: usize) -> Self {
        let stride = 64 * (form.row_bytes(depth).div_ceil(64) | 1);
        Self { bytes: Scratch::bytes(rows.next_multiple_of(32) * stride), stride }
    }

    /// Writes a row.
    pub(crate) fn stage(&mut self, form: Form, row: usize, from: &[f32]) {
        let to = &mut self.bytes[row * self.stride..][..form.row_bytes(from.len())];
        form.stage_row(from, to);
    }

    /// The bytes from a row on.
    pub(crate) fn from(&self, row: usize) -> &[u8] {
        &self.bytes[row * self.stride..]
    }
}
