//! Panels of 32 output channels, the layout of packed weights.

use crate::epilogue::COLUMNS;
use crate::parallel;
use crate::scratch::Aligned;

/// Fills panels in parallel: `fill(first_channel, channels, panel)` for each panel of a weight with `channels`
/// output channels. Panels start zeroed.
pub(crate) fn panels(
    channels: usize,
    panel_bytes: usize,
    fill: &(dyn Fn(usize, usize, &mut [u8]) + Sync),
) -> Aligned {
    use std::sync::Mutex;
    let count = channels.div_ceil(COLUMNS);
    let mut packed = Aligned::zeroed(count * panel_bytes);
    // Each task takes its own panel out of its own slot; the locks are never waited for.
    let slots: Vec<Mutex<&mut [u8]>> =
        packed.bytes_mut().chunks_exact_mut(panel_bytes.max(1)).map(Mutex::new).collect();
    parallel::for_each(count, count * panel_bytes, &|panel| {
        let first = panel * COLUMNS;
        let mut bytes = slots[panel].lock().expect("no task panics while it holds a panel");
        fill(first, COLUMNS.min(channels - first), &mut bytes);
    });
    drop(slots);
    packed
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
