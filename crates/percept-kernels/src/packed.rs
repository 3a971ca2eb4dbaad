//! Panels of 32 output channels, the layout of packed weights.

use crate::epilogue::COLUMNS;
use crate::parallel;
use crate::scratch::Aligned;
use std::convert::Infallible;
use std::sync::Mutex;

/// Reads rows of a weight from where they are stored: `read(first, rows)` fills `rows` with as many whole rows
/// as it holds, from row `first` on. It is called from several threads, once for every row.
pub type ReadRows<'a, T, E> = dyn Fn(usize, &mut [T]) -> Result<(), E> + Sync + 'a;

/// Fills a panel: its first channel, how many there are, and its bytes.
type Fill<'a, T, E> = dyn Fn(usize, usize, &mut [u8]) -> Result<T, E> + Sync + 'a;

/// One panel on its way: its bytes, and what filling it gave.
type Slot<'a, T, E> = Mutex<(&'a mut [u8], Option<Result<T, E>>)>;

/// Fills panels in parallel: `fill(first_channel, channels, panel)` for each panel of a weight with `channels`
/// output channels. Panels start zeroed. What `fill` answers is collected in order.
///
/// # Errors
/// The first that `fill` reports, in the order of panels.
pub(crate) fn panels<T: Send, E: Send>(
    channels: usize,
    panel_bytes: usize,
    fill: &Fill<'_, T, E>,
) -> Result<(Aligned, Vec<T>), E> {
    let count = if panel_bytes == 0 { 0 } else { channels.div_ceil(COLUMNS) };
    let mut packed = Aligned::zeroed(count * panel_bytes);
    // Each task takes its own panel out of its own slot; the locks are never waited for.
    let slots: Vec<Slot<'_, T, E>> = packed
        .bytes_mut()
        .chunks_exact_mut(panel_bytes.max(1))
        .take(count)
        .map(|bytes| Mutex::new((bytes, None)))
        .collect();
    parallel::for_each(count, count * panel_bytes, &|panel| {
        let first = panel * COLUMNS;
        let mut slot = slots[panel].lock().expect("no task panics while it holds a panel");
        slot.1 = Some(fill(first, COLUMNS.min(channels - first), slot.0));
    });
    let answers = slots.into_iter().filter_map(|slot| {
        let (_, answer) = slot.into_inner().expect("no task panics while it holds a panel");
        answer
    });
    let answers = answers.collect::<Result<Vec<T>, E>>()?;
    Ok((packed, answers))
}

/// Reads the rows of a weight that is in memory, `depth` numbers each, for the `from_rows` of packed weights.
pub fn rows_in<T: Copy + Sync>(
    weight: &[T],
    depth: usize,
) -> impl Fn(usize, &mut [T]) -> Result<(), Infallible> + Sync {
    move |first, rows| {
        rows.copy_from_slice(&weight[first * depth..][..rows.len()]);
        Ok(())
    }
}

/// Takes the result of what cannot fail.
pub(crate) fn certain<T>(result: Result<T, Infallible>) -> T {
    let Ok(value) = result;
    value
}

/// Lays rows of `steps` words each side by side: `panel[step][channel]`, four bytes of a row a step.
pub(crate) fn interleave(rows: &[u32], steps: usize, panel: &mut [u32]) {
    /// Lines of the panel that stay in the first-level cache while every row gives its part.
    const LINES: usize = 16;
    for (block, lines) in panel.chunks_mut(LINES * COLUMNS).enumerate() {
        let end = (block * LINES + LINES).min(steps);
        for (channel, row) in rows.chunks_exact(steps).enumerate() {
            for (line, word) in lines.chunks_exact_mut(COLUMNS).zip(&row[block * LINES..end]) {
                line[channel] = *word;
            }
        }
    }
}

/// Checks a weight's length.
///
/// # Panics
/// If it is not `channels * depth`.
pub(crate) fn check_weight(length: usize, channels: usize, depth: usize) {
    assert_eq!(length, channels * depth, "weight: [{channels}, {depth}] is wanted");
}

/// The number of rows of `input`.
///
/// # Panics
/// If its length is not a multiple of `depth`, or `out` does not have as many rows of `channels`.
pub(crate) fn rows_of(input: usize, depth: usize, out: usize, channels: usize) -> usize {
    let rows = out.checked_div(channels).unwrap_or(0);
    assert_eq!(rows * channels, out, "output: whole rows of {channels} are wanted");
    assert_eq!(rows * depth, input, "input: {rows} rows of {depth} are wanted");
    rows
}
