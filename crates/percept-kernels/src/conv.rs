//! Convolution on `[batch, channels, height, width]` in f32, as a matrix product whose right side is never
//! written out: panels of 32 output pixels are gathered from the input into cache and multiplied at once.

use crate::attention::Arithmetic;
use crate::conv_amx::SplitWeight;
use crate::conv_direct;
use crate::conv_half::{self, HalfWeight};
use crate::conv_panel::Gather;
use crate::epilogue::{COLUMNS, Channels, Epilogue, Place, Target, Tile, finish};
use crate::isa::isa;
use crate::parallel::{self, SharedOut};
use crate::scratch::{Aligned, Scratch, as_bytes, cast_mut};
use crate::tile::{Kind, Numbers, Operands};
use std::sync::OnceLock;

/// The shape of a convolution's weight and how it steps; pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Channels of the output.
    pub out_channels: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Size of the kernel.
    pub kernel: [usize; 2],
    /// Input pixels from one output pixel to the next.
    pub stride: [usize; 2],
    /// Zeros around the input, on each side.
    pub padding: [usize; 2],
    /// Input pixels from one kernel element to the next.
    pub dilation: [usize; 2],
    /// Groups of channels that do not mix; divides both channel counts.
    pub groups: usize,
}

impl ConvShape {
    /// A square kernel with stride 1, no padding, no dilation, one group.
    #[must_use]
    pub fn square(out_channels: usize, in_channels: usize, kernel: usize) -> Self {
        Self {
            out_channels,
            in_channels,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: [0; 2],
            dilation: [1; 2],
            groups: 1,
        }
    }

    /// A convolution over one dimension, for `[batch, channels, 1, length]`.
    #[must_use]
    pub fn line(
        out_channels: usize,
        in_channels: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Self {
        Self {
            kernel: [1, kernel],
            stride: [1, stride],
            padding: [0, padding],
            ..Self::square(out_channels, in_channels, 1)
        }
    }

    /// The same with another stride in both directions.
    #[must_use]
    pub fn stride(self, stride: usize) -> Self {
        Self { stride: [stride; 2], ..self }
    }

    /// The same with zeros around the input in both directions.
    #[must_use]
    pub fn padding(self, padding: usize) -> Self {
        Self { padding: [padding; 2], ..self }
    }

    /// The same with groups.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// Height and width of the output for an input of this height and width; 0 where the kernel does not fit.
    #[must_use]
    pub fn output(&self, input: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|d| {
            let reach = self.dilation[d] * (self.kernel[d] - 1) + 1;
            match (input[d] + 2 * self.padding[d]).checked_sub(reach) {
                Some(room) => room / self.stride[d] + 1,
                None => 0,
            }
        })
    }

    /// Numbers in one group's row of the weight.
    pub(crate) fn depth(&self) -> usize {
        self.in_channels / self.groups * self.kernel[0] * self.kernel[1]
    }

    /// Whether each channel is convolved by itself.
    pub(crate) fn is_depthwise(&self) -> bool {
        self.groups == self.in_channels && self.groups == self.out_channels
    }
}

/// The rows of a weight, as tiles read them.
struct Rows<'a> {
    numbers: Numbers,
    bytes: &'a [u8],
    stride: usize,
}

/// A convolution's weight, packed once for [`PackedConv::apply`].
#[derive(Clone)]
pub struct PackedConv {
    shape: ConvShape,
    /// Rows of `depth` numbers, `stride` bytes apart, so that rows spread over the sets of the cache.
    weight: Aligned,
    stride: usize,
    arithmetic: Arithmetic,
    /// For AMX, made when it is first wanted.
    split: OnceLock<SplitWeight>,
    /// For products of bf16, likewise.
    half: OnceLock<HalfWeight>,
}

impl PackedConv {
    /// Packs a weight `[out_channels, in_channels / groups, height, width]`.
    ///
    /// # Panics
    /// If the length does not fit the shape, groups do not divide the channels, or a stride, dilation or kernel
    /// size is zero.
    #[must_use]
    pub fn new(weight: &[f32], shape: ConvShape) -> Self {
        let ConvShape { out_channels, in_channels, kernel, stride, dilation, groups, .. } = shape;
        let positive = [kernel, stride, dilation].as_flattened().iter().all(|size| *size > 0);
        assert!(positive && groups > 0, "kernel, stride, dilation and groups: above zero is wanted");
        let divides = out_channels.is_multiple_of(groups) && in_channels.is_multiple_of(groups);
        assert!(divides, "groups: a divisor of both channel counts is wanted");
        let depth = shape.depth();
        assert_eq!(weight.len(), out_channels * depth, "weight: [{out_channels}, {depth}] is wanted");
        let row_stride = 64 * (depth.div_ceil(16) | 1);
        let mut packed = Aligned::zeroed(out_channels * row_stride);
        if depth > 0 {
            let rows = packed.bytes_mut().chunks_exact_mut(row_stride);
            for (row, from) in rows.zip(weight.chunks_exact(depth)) {
                cast_mut::<f32>(row)[..depth].copy_from_slice(from);
            }
        }
        Self {
            shape,
            weight: packed,
            stride: row_stride,
            arithmetic: Arithmetic::F32,
            split: OnceLock::new(),
            half: OnceLock::new(),
        }
    }

    /// Sets how exact products have to be. [`Arithmetic::Bf16`] is [`Arithmetic::Bf16x3`] on AMX, and f32 where the
    /// processor has no products of bf16.
    pub fn set_arithmetic(&mut self, arithmetic: Arithmetic) {
        self.arithmetic = arithmetic;
    }

    /// The shape it was packed with.
    #[must_use]
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// `out[batch, out_channels, ...] = epilogue(convolution of input[batch, in_channels, height, width])`.
    ///
    /// The epilogue's residual has the output's layout. The output's size is that of [`ConvShape::output`].
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn apply(
        &self,
        input: &[f32],
        batch: usize,
        size: [usize; 2],
        out: &mut [f32],
        epilogue: &Epilogue<'_>,
    ) {
        let shape = &self.shape;
        let [rows, columns] = shape.output(size);
        let pixels = rows * columns;
        let wanted = batch * shape.in_channels * size[0] * size[1];
        assert_eq!(input.len(), wanted, "input: batch x channels x height x width is wanted");
        assert_eq!(out.len(), batch * shape.out_channels * pixels, "out: the output's shape is wanted");
        epilogue.check(shape.out_channels, out.len());
        if out.is_empty() {
            return;
        }
        let shared = SharedOut::new(out);
        if shape.is_depthwise() {
            crate::depthwise::run(isa(), self, input, batch, size, &shared, epilogue);
        } else if SplitWeight::suits(isa(), shape, self.arithmetic) {
            let weight = self.split.get_or_init(|| SplitWeight::new(isa(), self));
            crate::conv_amx::run(isa(), weight, shape, input, (batch, size), &shared, epilogue);
        } else if HalfWeight::suits(isa(), shape, size, self.arithmetic) {
            let weight = self.half.get_or_init(|| HalfWeight::new(isa(), self));
            let rows = Rows { numbers: Numbers::Bf16, bytes: weight.rows.bytes(), stride: weight.stride };
            self.by_panels(&rows, input, (batch, size), &shared, epilogue);
        } else if conv_direct::suits(shape, size) {
            conv_direct::run(isa(), self, input, (batch, size), &shared, epilogue);
        } else {
            let rows = Rows { numbers: Numbers::F32, bytes: self.weight.bytes(), stride: self.stride };
            self.by_panels(&rows, input, (batch, size), &shared, epilogue);
        }
    }

    /// The weight's row of one output channel.
    pub(crate) fn row(&self, channel: usize) -> &[f32] {
        let bytes = &self.weight.bytes()[channel * self.stride..][..self.stride];
        &crate::scratch::cast::<f32>(bytes)[..self.shape.depth()]
    }

    /// The weight from one output channel's row on, and the numbers from one row to the next.
    pub(crate) fn rows_from(&self, channel: usize) -> (&[f32], usize) {
        let bytes = &self.weight.bytes()[channel * self.stride..];
        (crate::scratch::cast::<f32>(bytes), self.stride / 4)
    }

    fn by_panels(
        &self,
        weight: &Rows<'_>,
        input: &[f32],
        (batch, size): (usize, [usize; 2]),
        out: &SharedOut<'_>,
        epilogue: &Epilogue<'_>,
    ) {
        let shape = &self.shape;
        let isa = isa();
        let (depth, groups) = (shape.depth(), shape.groups);
        let output = shape.output(size);
        let pixels = output[0] * output[1];
        let channels = shape.out_channels / groups;
        let kind = Kind::choose(isa, weight.numbers, channels);
        let halves = weight.numbers == Numbers::Bf16;
        let steps = if halves { conv_half::steps(depth) } else { depth };
        let tile_rows = channels.div_ceil(channels.div_ceil(kind.rows()));
        let panels = pixels.div_ceil(COLUMNS);
        let cost = batch * shape.out_channels * pixels * depth;
        parallel::for_each(batch * groups * panels, cost, &|task| {
            let (item, group, panel) = (task / (groups * panels), task / panels % groups, task % panels);
            let place = |row: usize| Place {
                row: group * channels + row,
                rows: tile_rows.min(channels - row),
                column: panel * COLUMNS,
                columns: COLUMNS.min(pixels - panel * COLUMNS),
            };
            let planes = shape.in_channels / groups * size[0] * size[1];
            let from = &input[(item * groups + group) * planes..][..planes];
            let mut buffer = Scratch::floats(depth * COLUMNS);
            let gathered = buffer.as_floats();
            Gather { shape, size, output }.panel(isa, from, panel * COLUMNS, gathered);
            let mut pairs = Scratch::bytes(if halves { conv_half::panel_bytes(depth) } else { 0 });
            let right: &[u8] = if halves {
                conv_half::pairs(isa, gathered, &mut pairs);
                &pairs
            } else {
                as_bytes(gathered)
            };
            // SAFETY: `choose` only answers kinds that the processor has.
            let engine = unsafe { kind.start() };
            let mut tile = Tile::zeroed();
            let target = Target {
                out,
                offset: item * shape.out_channels * pixels,
                stride: pixels,
                channels: Channels::Rows,
            };
            for row in (0..channels).step_by(tile_rows) {
                let place = place(row);
                let at = Operands {
                    left: weight.bytes[place.row * weight.stride..].as_ptr(),
                    left_stride: weight.stride,
                    right: right.as_ptr(),
                    right_stride: 4 * COLUMNS,
                    steps,
                    resume: false,
                    ahead: std::ptr::null(),
                };
                // SAFETY: the weight has `out_channels` rows of `steps` steps, the panel as many lines.
                unsafe { engine.tile(weight.numbers, place.rows, at, &mut tile) };
                // SAFETY: tasks have different pixels, items or groups of channels.
                unsafe { finish(isa, &mut tile, place, epilogue, &target) };
            }
        });
    }
}
