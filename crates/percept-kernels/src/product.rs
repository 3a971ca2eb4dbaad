//! The loop nest of every packed matrix product: staging of rows, division into tasks, tiles, epilogue.

use crate::epilogue::{COLUMNS, Channels, Epilogue, MAX_ROWS, Place, Target, Tile, finish, prepare_write};
use crate::isa::isa;
use crate::parallel::{self, SharedOut};
use crate::scratch::Scratch;
use crate::tile::{Kind, Numbers, Operands};

/// Bytes of left rows that one task keeps in its second-level cache while the weights stream past.
const BLOCK_BYTES: usize = 1024 << 10;

/// Bytes of panels that stay in the second-level cache while a block of rows goes past.
const PANEL_BYTES: usize = 512 << 10;

/// The left side: rows of numbers that become rows of bytes which tiles read.
pub(crate) trait Left: Sync {
    /// Bytes of a staged row that tiles read, zero padding included; a multiple of 64.
    fn row_bytes(&self) -> usize;
    /// Writes row `row`; `staged` has [`stride`] bytes, and the last 64 are the row's own.
    fn stage(&self, row: usize, staged: &mut [u8]);
    /// Rows that can be read where they lie: their bytes and the bytes from one to the next.
    fn in_place(&self) -> Option<(&[u8], usize)> {
        None
    }
    /// Turns the raw sums of a tile into numbers, given the staged rows that it came from.
    fn restore(&self, _tile: &mut Tile, _place: Place, _staged: &[u8], _stride: usize) {}
}

/// Bytes from one staged row to the next: an odd number of cache lines, so that rows spread over the cache's
/// sets, with at least one line after the numbers.
fn stride(row_bytes: usize) -> usize {
    let lines = row_bytes / 64 + 1;
    64 * (lines | 1)
}

/// The right side: packed panels of 32 columns.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    pub(crate) numbers: Numbers,
    pub(crate) panels: &'a [u8],
    pub(crate) panel_bytes: usize,
    /// Steps of four bytes a row (see [`Operands`]).
    pub(crate) steps: usize,
}

/// `out[rows, columns] = epilogue(left x right)`.
pub(crate) fn run<L: Left>(
    left: &L,
    right: Right<'_>,
    (rows, columns): (usize, usize),
    out: &mut [f32],
    epilogue: &Epilogue<'_>,
) {
    assert_eq!(out.len(), rows * columns, "output: rows x output channels are wanted");
    epilogue.check(columns, out.len());
    if rows == 0 || columns == 0 {
        return;
    }
    let isa = isa();
    let kind = Kind::choose(isa, right.numbers, rows);
    // Rows are dealt evenly to vector tiles; AMX computes whole tiles whatever it is given.
    let tile_rows = if kind == Kind::Amx { kind.rows() } else { rows.div_ceil(rows.div_ceil(kind.rows())) };
    let row_bytes = left.row_bytes();
    let stride = stride(row_bytes);
    let cost = rows * columns * (row_bytes / 4);
    let threads = if cost < parallel::SMALL { 1 } else { parallel::threads() };
    let tiles = rows.div_ceil(tile_rows);
    let panels = columns.div_ceil(COLUMNS);

    let block_tiles = (BLOCK_BYTES / (tile_rows * stride)).clamp(1, 64);
    let blocks = tiles.div_ceil(block_tiles);
    let stage_in_task = blocks >= 4 * threads || threads == 1;
    // Few blocks of rows: divide the columns too, and stage all rows first.
    let chunks = if stage_in_task { 1 } else { (4 * threads).div_ceil(blocks).min(panels) };

    let together = (PANEL_BYTES / right.panel_bytes.max(1)).max(1);

    let in_place = left.in_place();
    let mut all_rows = Scratch::bytes(match in_place {
        None if !stage_in_task => (tiles * tile_rows).next_multiple_of(MAX_ROWS) * stride,
        _ => 0,
    });
    if in_place.is_none() && !stage_in_task {
        stage_all(left, rows, stride, &mut all_rows);
    }
    let all_rows: &[u8] = &all_rows;

    let shared = SharedOut::new(out);
    let target = Target { out: &shared, offset: 0, stride: columns, channels: Channels::Columns };
    let amx_steps = if kind == Kind::Amx { right.steps / 16 } else { right.steps };
    let fetched = kind.fetched(right.numbers, amx_steps);
    parallel::for_each(blocks * chunks, cost, &|task| {
        let (block, chunk) = (task / chunks, task % chunks);
        let first = block * block_tiles * tile_rows;
        let last = (first + block_tiles * tile_rows).min(rows);
        let own;
        let (base, row_stride, staged): (*const u8, usize, &[u8]) = match in_place {
            Some((bytes, row_stride)) => (bytes[first * row_stride..].as_ptr(), row_stride, &[]),
            None if stage_in_task => {
                let mut buffer =
                    Scratch::bytes((block_tiles * tile_rows).next_multiple_of(MAX_ROWS) * stride);
                for (row, staged) in (first..last).zip(buffer.chunks_exact_mut(stride)) {
                    left.stage(row, staged);
                }
                own = buffer;
                (own.as_ptr(), stride, &own)
            }
            None => (all_rows[first * stride..].as_ptr(), stride, &all_rows[first * stride..]),
        };
        // SAFETY: `choose` only answers kinds that `isa` has, and an `Isa` in use is one the processor has.
        let engine = unsafe { kind.start() };
        let mut tile = Tile::zeroed();
        let mut one = |row: usize, panel: usize, ahead: *const u8| {
            let offset = row - first;
            let packed = &right.panels[panel * right.panel_bytes..][..right.panel_bytes];
            let at = Operands {
                left: base.wrapping_add(offset * row_stride),
                left_stride: row_stride,
                right: packed.as_ptr(),
                right_stride: 4 * COLUMNS,
                steps: amx_steps,
                ahead,
            };
            let column = panel * COLUMNS;
            let place = Place {
                row,
                rows: tile_rows.min(last - row),
                column,
                columns: COLUMNS.min(columns - column),
            };
            prepare_write(&place, &target);
            // SAFETY: rows lie in the input or in staged memory, which is rounded up to whole AMX tiles
            // (`in_place` is only used with f32, which never runs on AMX); the panel is whole.
            unsafe { engine.tile(right.numbers, place.rows, at, &mut tile) };
            if !staged.is_empty() {
                left.restore(&mut tile, place, &staged[offset * stride..], stride);
            }
            // SAFETY: tasks have different rows or different columns.
            unsafe { finish(isa, &mut tile, place, epilogue, &target) };
        };
        // A few panels at a time stay in cache for all rows of the block, while each tile of rows goes past
        // all of them: so the output is written in long pieces, which matters more than anything else for
        // the fast kinds (with one panel at a time, bf16 was twice as slow).
        let end = panels * (chunk + 1) / chunks;
        for panel in (panels * chunk / chunks..end).step_by(together) {
            let group = panel..(panel + together).min(end);
            // The panels of the next round, fetched bit by bit.
            let next = group.end * right.panel_bytes..(group.end + together).min(end) * right.panel_bytes;
            let mut ahead = next.start;
            for row in (first..last).step_by(tile_rows) {
                for panel in group.clone() {
                    one(row, panel, right.panels.as_ptr().wrapping_add(ahead.min(next.end)));
                    ahead += fetched;
                }
            }
        }
    });
}

/// Stages all rows, in parallel.
fn stage_all<L: Left>(left: &L, rows: usize, stride: usize, staged: &mut Scratch) {
    const TOGETHER: usize = 16;
    let base = SharedOut::new(staged.as_floats());
    let floats = stride / 4;
    parallel::for_each(rows.div_ceil(TOGETHER), rows * floats, &|task| {
        for row in task * TOGETHER..(task * TOGETHER + TOGETHER).min(rows) {
            // SAFETY: every row is staged by one task.
            let row_floats = unsafe { base.part(row * floats, floats) };
            left.stage(row, crate::scratch::as_bytes_mut(row_floats));
        }
    });
}
