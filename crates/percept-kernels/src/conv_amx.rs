//! Convolution on AMX: numbers in two bf16 parts (see `split`), pairs of input channels side by side. In f32
//! proper, with three parts and six products, it is slower than fused multiply-adds.
//!
//! Every input number is split once, into planes of pairs: for each part and pair of channels a plane whose
//! pixels are two bf16 in 32 bits. Gathering the 32 pixels of a panel is then the same copying as in f32, and
//! what is copied is already what the tiles read. The depth runs over pairs, then over the kernel.

use crate::attention::Arithmetic;
use crate::conv::{ConvShape, PackedConv};
use crate::conv_panel::Gather;
use crate::epilogue::{COLUMNS, Channels, Epilogue, Place, Target, Tile, finish};
use crate::isa::Isa;
use crate::math::per_isa;
use crate::parallel::{self, SharedOut};
use crate::scratch::{Aligned, Scratch, cast, cast_mut};
use crate::split::{self, Parts};
use crate::tile::{AMX_ROWS, Kind, Numbers, Operands};

/// Lines of pairs in an AMX step.
pub(crate) const LINES: usize = 16;

/// Parts of a number.
const PARTS: usize = 2;

/// A convolution's weight as rows of the left side.
#[derive(Clone)]
pub(crate) struct SplitWeight {
    rows: Aligned,
    stride: usize,
    /// Pairs of input channels of a group, and numbers in a row with padding.
    pairs: usize,
    depth: usize,
}

impl SplitWeight {
    /// Whether AMX is worth it for this shape.
    pub(crate) fn suits(isa: Isa, shape: &ConvShape, arithmetic: Arithmetic) -> bool {
        let channels = shape.out_channels / shape.groups;
        arithmetic != Arithmetic::F32 && isa >= Isa::Amx && channels > AMX_ROWS && shape.depth() > 0
    }

    pub(crate) fn new(isa: Isa, conv: &PackedConv) -> Self {
        let shape = conv.shape();
        let inputs = shape.in_channels / shape.groups;
        let taps = shape.kernel[0] * shape.kernel[1];
        let pairs = inputs.div_ceil(2);
        let depth = split::padded(2 * pairs * taps);
        let row_bytes = split::row_bytes(depth, Parts::Two);
        let stride = 64 * (row_bytes.div_ceil(64) | 1);
        // A tile may read rows up to the next multiple of 32 after a group's last.
        let mut rows = Aligned::zeroed((shape.out_channels + 32) * stride);
        let mut numbers = vec![0.0; depth];
        for (channel, row) in rows.bytes_mut().chunks_exact_mut(stride).take(shape.out_channels).enumerate() {
            let weight = conv.row(channel);
            for (input, weight) in weight.chunks_exact(taps).enumerate() {
                for (tap, value) in weight.iter().enumerate() {
                    numbers[2 * (input / 2 * taps + tap) + input % 2] = *value;
                }
            }
            split::split_row(isa, &numbers, cast_mut(&mut row[..row_bytes]), Parts::Two);
        }
        Self { rows, stride, pairs, depth }
    }
}

/// See [`PackedConv::apply`]; lengths have been checked.
pub(crate) fn run(
    isa: Isa,
    weight: &SplitWeight,
    shape: &ConvShape,
    input: &[f32],
    (batch, size): (usize, [usize; 2]),
    out: &SharedOut<'_>,
    epilogue: &Epilogue<'_>,
) {
    let groups = shape.groups;
    let (plane, inputs) = (size[0] * size[1], shape.in_channels / groups);
    let planes = split_planes(isa, input, batch * groups, inputs, plane);
    let planes = cast::<f32>(&planes);
    let output = shape.output(size);
    let pixels = output[0] * output[1];
    let channels = shape.out_channels / groups;
    let panels = pixels.div_ceil(COLUMNS);
    let cost = batch * shape.out_channels * pixels * shape.depth();
    let steps = weight.depth / 32;
    let part = batch * groups * weight.pairs * plane;
    parallel::for_each(batch * groups * panels, cost, &|task| {
        let (side, panel) = (task / panels, task % panels);
        let (item, group) = (side / groups, side % groups);
        let mut buffer = Scratch::bytes(steps * PARTS * LINES * COLUMNS * 4);
        // Lines past the depth are read too, and must be numbers.
        let used = (weight.depth / 2 - 1) / LINES * PARTS * LINES * COLUMNS;
        let gathered = buffer.as_floats();
        gathered[used..].fill(0.0);
        let parts = [0, 1].map(|index: usize| {
            &planes[index * part + side * weight.pairs * plane..][..weight.pairs * plane]
        });
        let gather = Gather { shape, size, output };
        gather.split_panel(isa, parts, panel * COLUMNS, gathered);
        // SAFETY: `SplitWeight::suits` has seen AMX.
        let engine = unsafe { Kind::Amx.start() };
        let mut tile = Tile::zeroed();
        let offset = item * shape.out_channels * pixels;
        let target = Target { out, offset, stride: pixels, channels: Channels::Rows };
        for row in (0..channels).step_by(32) {
            let place = Place {
                row: group * channels + row,
                rows: 32.min(channels - row),
                column: panel * COLUMNS,
                columns: COLUMNS.min(pixels - panel * COLUMNS),
            };
            let at = Operands {
                left: weight.rows.bytes()[place.row * weight.stride..].as_ptr(),
                left_stride: weight.stride,
                right: buffer.as_ptr(),
                right_stride: 4 * COLUMNS,
                steps,
                resume: false,
                ahead: buffer.as_ptr(),
            };
            // SAFETY: the weight has rows up to whole tiles, the panel `steps` steps.
            unsafe { engine.tile(Numbers::Split(Parts::Two), place.rows, at, &mut tile) };
            // SAFETY: tasks have different pixels, items or groups of channels.
            unsafe { finish(isa, &mut tile, place, epilogue, &target) };
        }
    });
}

/// Splits `[sides, inputs, plane]` into `[part][side][pair][plane]` of pairs of bf16.
fn split_planes(isa: Isa, input: &[f32], sides: usize, inputs: usize, plane: usize) -> Scratch {
    /// Pixels of a task.
    const TOGETHER: usize = 4096;
    let pairs = inputs.div_ceil(2);
    let mut planes = Scratch::bytes(PARTS * sides * pairs * plane * 4);
    let shared = SharedOut::new(planes.as_floats());
    let chunks = plane.div_ceil(TOGETHER);
    parallel::for_each(sides * pairs * chunks, 8 * sides * inputs * plane, &|task| {
        let (place, first) = (task / chunks, task % chunks * TOGETHER);
        let (side, pair) = (place / pairs, place % pairs);
        let count = TOGETHER.min(plane - first);
        let channel = |index: usize| &input[(side * inputs + index) * plane + first..][..count];
        let even = channel(2 * pair);
        let odd = if 2 * pair + 1 < inputs { channel(2 * pair + 1) } else { &[] };
        let to = [0, 1].map(|part| {
            // SAFETY: each part of each pair's pixels is one task's.
            unsafe { shared.part((part * sides * pairs + place) * plane + first, count) }
        });
        split_pairs(isa, even, odd, to);
    });
    planes
}

per_isa! {
    /// Splits two channels; the second may be absent.
    fn split_pairs(even: &[f32], odd: &[f32], to: [&mut [f32]; PARTS]) {
        let [high, low] = to;
        let pair = |even: u32, odd: u32| f32::from_bits(even >> 16 | odd);
        for (i, even) in even.iter().enumerate() {
            let even = split::parts(*even);
            let odd = if odd.is_empty() { [0; 3] } else { split::parts(odd[i]) };
            high[i] = pair(even[0], odd[0]);
            low[i] = pair(even[1], odd[1]);
        }
    }
}
