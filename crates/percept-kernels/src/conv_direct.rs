//! Convolution in f32 straight from the input: no window is ever written out.
//!
//! The input is copied once, with its zeros around it, and with the columns of each row sorted by their
//! remainder to the stride. Then the 32 inputs that one kernel element gives to 32 neighbouring output pixels lie
//! side by side, and a table says how far from the first input those of each kernel element are.

use crate::conv::{ConvShape, PackedConv};
use crate::epilogue::{COLUMNS, Channels, Epilogue, Place, Target, Tile, finish};
use crate::isa::Isa;
use crate::math::{mul_add, per_isa};
use crate::parallel::{self, SharedOut};
use crate::scratch::{Scratch, cast, cast_mut};

/// Rows of a tile at most.
const ROWS: usize = 12;

/// Whether output rows fill panels of 32 well enough.
pub(crate) fn suits(shape: &ConvShape, size: [usize; 2]) -> bool {
    let [_, width] = shape.output(size);
    10 * width >= 8 * width.next_multiple_of(COLUMNS) && shape.depth() > 0
}

/// How the copy of the input lies: `[side][channel][row][remainder][column]`.
struct Lay {
    /// Rows with zeros above and below.
    rows: usize,
    /// Remainders of a column, and columns of each.
    phases: usize,
    columns: usize,
}

impl Lay {
    fn new(shape: &ConvShape, size: [usize; 2]) -> Self {
        let [rows, width] = [0, 1].map(|d| size[d] + 2 * shape.padding[d]);
        Self { rows, phases: shape.stride[1], columns: width.div_ceil(shape.stride[1]) }
    }

    fn row(&self) -> usize {
        self.phases * self.columns
    }

    fn channel(&self) -> usize {
        self.rows * self.row()
    }

    /// From the first input of an output pixel to that of each kernel element.
    fn offsets(&self, shape: &ConvShape, to: &mut [u32]) {
        let [rows, columns] = shape.kernel;
        for (index, to) in to.iter_mut().enumerate() {
            let (channel, ky, kx) = (index / (rows * columns), index / columns % rows, index % columns);
            let column = kx * shape.dilation[1];
            let row = channel * self.channel() + ky * shape.dilation[0] * self.row();
            *to = (row + column % self.phases * self.columns + column / self.phases) as u32;
        }
    }

    /// Copies the planes `[planes, height, width]`, in parallel.
    fn copy(&self, shape: &ConvShape, input: &[f32], size: [usize; 2]) -> Scratch {
        let [height, width] = size;
        let planes = input.len() / (height * width);
        // A panel may read up to 31 columns past the last row, plus what its kernel element is away.
        let reach = COLUMNS + shape.kernel[1] * shape.dilation[1];
        let mut copy = Scratch::floats(planes * self.channel() + reach);
        copy.as_floats()[planes * self.channel()..].fill(0.0);
        let shared = SharedOut::new(copy.as_floats());
        parallel::for_each(planes, planes * self.channel(), &|plane| {
            // SAFETY: each plane is one task's.
            let to = unsafe { shared.part(plane * self.channel(), self.channel()) };
            let from = &input[plane * height * width..][..height * width];
            for (y, to) in to.chunks_exact_mut(self.row()).enumerate() {
                match y.checked_sub(shape.padding[0]).filter(|y| *y < height) {
                    Some(y) => self.copy_row(&from[y * width..][..width], shape.padding[1], to),
                    None => to.fill(0.0),
                }
            }
        });
        copy
    }

    fn copy_row(&self, from: &[f32], padding: usize, to: &mut [f32]) {
        for (phase, to) in to.chunks_exact_mut(self.columns).enumerate() {
            // Column i of the remainder is column `i * phases + phase - padding` of the input.
            let left = padding.saturating_sub(phase).div_ceil(self.phases).min(to.len());
            let first = left * self.phases + phase - padding.min(left * self.phases + phase);
            let inside = from.len().saturating_sub(first).div_ceil(self.phases).min(to.len() - left);
            to[..left].fill(0.0);
            to[left + inside..].fill(0.0);
            let to = &mut to[left..left + inside];
            if self.phases == 1 {
                to.copy_from_slice(&from[first.min(from.len())..][..inside]);
            } else {
                let from = from[first.min(from.len())..].iter().step_by(self.phases);
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

/// See [`PackedConv::apply`]; lengths have been checked.
pub(crate) fn run(
    isa: Isa,
    conv: &PackedConv,
    input: &[f32],
    (batch, size): (usize, [usize; 2]),
    out: &SharedOut<'_>,
    epilogue: &Epilogue<'_>,
) {
    let shape = conv.shape();
    let groups = shape.groups;
    let [height, width] = shape.output(size);
    let pixels = height * width;
    let (channels, inputs) = (shape.out_channels / groups, shape.in_channels / groups);
    let lay = Lay::new(shape, size);
    let mut table = Scratch::bytes(4 * shape.depth());
    lay.offsets(shape, cast_mut(&mut table));
    let offsets = cast::<u32>(&table);
    let reach = offsets.iter().max().map_or(0, |most| *most as usize) + COLUMNS;
    let copy = lay.copy(shape, input, size);
    let copy = cast::<f32>(&copy);
    let tile_rows = channels.div_ceil(channels.div_ceil(ROWS));
    let cost = batch * shape.out_channels * pixels * shape.depth();
    parallel::for_each(batch * groups * height, cost, &|task| {
        let (side, y) = (task / height, task % height);
        let (item, group) = (side / groups, side % groups);
        let first = side * inputs * lay.channel() + y * shape.stride[0] * lay.row();
        let mut tile = Tile::zeroed();
        let target = Target {
            out,
            offset: item * shape.out_channels * pixels,
            stride: pixels,
            channels: Channels::Rows,
        };
        for x in (0..width).step_by(COLUMNS) {
            for row in (0..channels).step_by(tile_rows) {
                let place = Place {
                    row: group * channels + row,
                    rows: tile_rows.min(channels - row),
                    column: y * width + x,
                    columns: COLUMNS.min(width - x),
                };
                let (weight, stride) = conv.rows_from(place.row);
                let right = Right { input: &copy[first + x..][..reach], offsets };
                multiply(isa, (weight, stride), place.rows, right, &mut tile);
                // SAFETY: tasks have different rows of pixels, items or groups of channels.
                unsafe { finish(isa, &mut tile, place, epilogue, &target) };
            }
        }
    });
}

/// The inputs of 32 output pixels: 32 numbers at each offset. `input` reaches as far as the largest one.
#[derive(Clone, Copy)]
struct Right<'a> {
    input: &'a [f32],
    offsets: &'a [u32],
}

/// `tile[r][c] = sum of weight[r * stride + i] * input[offsets[i] + c]`.
fn multiply(isa: Isa, (weight, stride): (&[f32], usize), rows: usize, right: Right<'_>, tile: &mut Tile) {
    let Right { input, offsets } = right;
    assert!(
        rows <= ROWS && weight.len() >= (rows - 1) * stride + offsets.len(),
        "weight: whole rows are wanted"
    );
    #[cfg(target_arch = "x86_64")]
    if isa >= Isa::Avx512 {
        // SAFETY: an `Isa` of this level exists only where the processor has the instructions; rows of the
        // weight are there, as asserted; `run` cuts the input behind the largest offset's 32 numbers.
        return unsafe {
            crate::tile_avx512::tile_at_offsets(
                (weight.as_ptr(), stride),
                rows,
                input.as_ptr(),
                offsets,
                tile,
            )
        };
    }
    plain(isa, (weight, stride), rows, right, tile);
}

per_isa! {
    fn plain(left: (&[f32], usize), rows: usize, right: Right<'_>, tile: &mut Tile) {
        let ((weight, stride), Right { input, offsets }) = (left, right);
        for half in [0, 16] {
            let mut row = 0;
            while row < rows {
                let weight = &weight[row * stride..];
                let out = &mut tile.0[row * COLUMNS + half..];
                let input = &input[half..];
                row += match rows - row {
                    6.. => block::<6, FMA>(weight, stride, input, offsets, out),
                    3..=5 => block::<3, FMA>(weight, stride, input, offsets, out),
                    _ => block::<1, FMA>(weight, stride, input, offsets, out),
                };
            }
        }
    }
}

/// `R` rows by 16 columns; answers `R`.
#[inline(always)]
fn block<const R: usize, const FMA: bool>(
    weight: &[f32],
    stride: usize,
    input: &[f32],
    offsets: &[u32],
    out: &mut [f32],
) -> usize {
    let mut sums = [[0.0_f32; 16]; R];
    for (step, offset) in offsets.iter().enumerate() {
        let Some(inputs) = input[*offset as usize..].first_chunk::<16>() else { break };
        for (r, sums) in sums.iter_mut().enumerate() {
            let weight = weight[r * stride + step];
            for (sum, input) in sums.iter_mut().zip(inputs) {
                *sum = mul_add::<FMA>(weight, *input, *sum);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        out[r * COLUMNS..r * COLUMNS + 16].copy_from_slice(sums);
    }
    R
}
