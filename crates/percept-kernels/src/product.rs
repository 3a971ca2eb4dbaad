//! The loop nest of every packed matrix product: staging of rows, division into tasks, tiles, epilogue.

use crate::epilogue::{COLUMNS, Channels, Epilogue, MAX_ROWS, Place, Target, Tile, finish, prepare_write};
use crate::isa::{Isa, isa};
use crate::parallel::{self, SharedOut};
use crate::scratch::Scratch;
use crate::tile::{Engine, Kind, Numbers, Operands};
use std::ops::Range;

/// Bytes of left rows that one task keeps in its second-level cache while the weights stream past.
const BLOCK_BYTES: usize = 512 << 10;
/// Bytes of a row that AMX takes in one round, so that a block has enough rows to be worth its weights.
const ROUND_BYTES: usize = 2304;

/// Bytes of panels that stay in the second-level cache while a block of rows goes past.
const PANEL_BYTES: usize = 256 << 10;

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

/// How a product is divided.
struct Plan {
    isa: Isa,
    kind: Kind,
    columns: usize,
    /// Rows of a tile, tiles of a block of rows, and blocks.
    tile_rows: usize,
    block_tiles: usize,
    blocks: usize,
    /// Parts that the columns are divided into, each with every block a task.
    parts: usize,
    /// Rounds over the depth, and the kind's steps in each.
    rounds: usize,
    round_steps: usize,
    steps: usize,
    /// Panels that stay in cache for all rows of a block.
    together: usize,
    /// Bytes from one staged row to the next.
    stride: usize,
    cost: usize,
}

impl Plan {
    fn new(right: &Right<'_>, row_bytes: usize, (rows, columns): (usize, usize)) -> Self {
        let isa = isa();
        let kind = Kind::choose(isa, right.numbers, rows);
        let amx = kind == Kind::Amx;
        // Rows are dealt evenly to vector tiles; AMX computes whole tiles whatever it is given.
        let tile_rows = if amx { kind.rows() } else { rows.div_ceil(rows.div_ceil(kind.rows())) };
        let steps = if amx { right.steps / 16 } else { right.steps };
        let rounds = if amx { row_bytes.div_ceil(ROUND_BYTES).max(1) } else { 1 };
        let round_steps = steps.div_ceil(rounds);
        let stride = stride(row_bytes);
        let cost = rows * columns * (row_bytes / 4);
        let threads = if cost < parallel::SMALL { 1 } else { parallel::threads() };
        let tiles = rows.div_ceil(tile_rows);
        let most = (BLOCK_BYTES / (tile_rows * stride / rounds)).clamp(1, 64);
        let blocks = tiles.div_ceil(most);
        // Few blocks of rows: divide the columns too.
        let parts = if blocks >= 4 * threads || threads == 1 {
            1
        } else {
            (4 * threads).div_ceil(blocks).min(columns.div_ceil(COLUMNS))
        };
        Self {
            isa,
            kind,
            columns,
            tile_rows,
            block_tiles: tiles.div_ceil(blocks),
            blocks,
            parts,
            rounds,
            round_steps,
            steps,
            together: (PANEL_BYTES * rounds / right.panel_bytes.max(1)).max(1),
            stride,
            cost,
        }
    }

    /// Bytes for the staged rows of so many tiles, whole AMX tiles at the end included.
    fn staged_bytes(&self, tiles: usize) -> usize {
        (tiles * self.tile_rows).next_multiple_of(MAX_ROWS) * self.stride
    }
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
    let plan = Plan::new(&right, left.row_bytes(), (rows, columns));
    let in_place = left.in_place();
    // Where several tasks share rows, all rows are staged first; else each task stages its own.
    let stage_first = in_place.is_none() && plan.parts > 1;
    let tiles = rows.div_ceil(plan.tile_rows);
    let mut all_rows = Scratch::bytes(if stage_first { plan.staged_bytes(tiles) } else { 0 });
    if stage_first {
        stage_all(left, rows, plan.stride, &mut all_rows);
    }
    let all_rows: &[u8] = &all_rows;
    let shared = SharedOut::new(out);
    let target = Target { out: &shared, offset: 0, stride: columns, channels: Channels::Columns };
    parallel::for_each(plan.blocks * plan.parts, plan.cost, &|task| {
        let (block, part) = (task / plan.parts, task % plan.parts);
        let first = block * plan.block_tiles * plan.tile_rows;
        let rows = first..(first + plan.block_tiles * plan.tile_rows).min(rows);
        if rows.is_empty() {
            return;
        }
        let panels = columns.div_ceil(COLUMNS);
        let mut own = Scratch::bytes(0);
        let (from, stride): (&[u8], usize) = match in_place {
            Some((bytes, row_stride)) => (&bytes[first * row_stride..], row_stride),
            None if stage_first => (&all_rows[first * plan.stride..], plan.stride),
            None => {
                own = Scratch::bytes(plan.staged_bytes(plan.block_tiles));
                for (row, staged) in rows.clone().zip(own.chunks_exact_mut(plan.stride)) {
                    left.stage(row, staged);
                }
                (&own, plan.stride)
            }
        };
        let work = Task { plan: &plan, left, right, from, stride, rows, epilogue, target: &target };
        work.run(panels * part / plan.parts..panels * (part + 1) / plan.parts);
        drop(own);
    });
}

/// One block of rows by some panels.
struct Task<'a, 'b, L> {
    plan: &'a Plan,
    left: &'a L,
    right: Right<'a>,
    /// The block's rows, `stride` bytes apart.
    from: &'a [u8],
    stride: usize,
    rows: Range<usize>,
    epilogue: &'a Epilogue<'a>,
    target: &'a Target<'a, 'b>,
}

impl<L: Left> Task<'_, '_, L> {
    /// Goes over the depth in rounds; in each, a few panels at a time stay in cache for all rows of the block,
    /// while each tile of rows goes past all of them. So the output is written in long pieces, which matters
    /// more than anything else for the fast kinds (with one panel at a time bf16 was twice as slow).
    fn run(&self, panels: Range<usize>) {
        let plan = self.plan;
        // SAFETY: `choose` only answers kinds that `isa` has, and an `Isa` in use is one the processor has.
        let engine = unsafe { plan.kind.start() };
        let mut tile = Tile::zeroed();
        // Between rounds the sums of all tiles wait here.
        let mut waiting = Scratch::bytes(match plan.rounds {
            1 => 0,
            _ => self.rows.len().div_ceil(plan.tile_rows) * panels.len() * size_of::<Tile>(),
        });
        for round in 0..plan.rounds {
            for start in panels.clone().step_by(plan.together) {
                let group = start..(start + plan.together).min(panels.end);
                for row in self.rows.clone().step_by(plan.tile_rows) {
                    for panel in group.clone() {
                        let index = (row - self.rows.start) / plan.tile_rows;
                        let sums = match plan.rounds {
                            1 => &mut tile,
                            _ => tile_mut(&mut waiting, index * panels.len() + panel - panels.start),
                        };
                        self.tile(&engine, (row, index), panel, round, sums);
                    }
                }
            }
        }
    }

    /// One tile in one round; finishes it in the last.
    fn tile(
        &self,
        engine: &Engine,
        (row, index): (usize, usize),
        panel: usize,
        round: usize,
        tile: &mut Tile,
    ) {
        let (plan, right) = (self.plan, &self.right);
        let done = round * plan.round_steps;
        let steps = plan.round_steps.min(plan.steps - done);
        let step_bytes = |bytes: usize| bytes.checked_div(plan.steps).unwrap_or(0);
        let (left_step, right_step) = (step_bytes(self.left.row_bytes()), step_bytes(right.panel_bytes));
        let panel_start = |panel: usize| panel * right.panel_bytes + done * right_step;
        // The same panel of the next group, a part with each tile of rows.
        let ahead = panel_start(panel + plan.together) + index * plan.kind.fetched(right.numbers, steps);
        let offset = row - self.rows.start;
        let from = &self.from[offset * self.stride..];
        let at = Operands {
            left: from[done * left_step..].as_ptr(),
            left_stride: self.stride,
            right: right.panels[panel_start(panel)..][..steps * right_step].as_ptr(),
            right_stride: 4 * COLUMNS,
            steps,
            resume: round > 0,
            ahead: right.panels.as_ptr().wrapping_add(ahead),
        };
        let column = panel * COLUMNS;
        let place = Place {
            row,
            rows: plan.tile_rows.min(self.rows.end - row),
            column,
            columns: COLUMNS.min(plan.columns - column),
        };
        let last = round + 1 == plan.rounds;
        if last {
            prepare_write(&place, self.target);
        }
        // SAFETY: rows lie in the input or in staged memory, which is rounded up to whole AMX tiles (rows in
        // place are f32, which AMX never takes); the panel's part of this round was sliced above.
        unsafe { engine.tile(right.numbers, place.rows, at, tile) };
        if last {
            self.left.restore(tile, place, from, self.stride);
            // SAFETY: tasks have different rows or different columns.
            unsafe { finish(plan.isa, tile, place, self.epilogue, self.target) };
        }
    }
}

/// The tile at an index of scratch memory.
pub(crate) fn tile_mut(memory: &mut Scratch, index: usize) -> &mut Tile {
    let bytes = &mut memory[index * size_of::<Tile>()..][..size_of::<Tile>()];
    // SAFETY: scratch memory is aligned to 64 as a tile is, tiles are a multiple of 64 bytes, and any bytes
    // are f32.
    unsafe { &mut *bytes.as_mut_ptr().cast::<Tile>() }
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
