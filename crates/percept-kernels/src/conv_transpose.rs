//! Transposed convolution on `[batch, channels, height, width]`, as ordinary convolutions.
//!
//! With stride s, the output rows y = r, r + s, r + 2s ... read the input through the same few taps of the
//! kernel: those `k` with `r + padding - k dilation` a multiple of s. So each remainder (of rows and of columns)
//! is an ordinary convolution with stride 1, and the output is their results, interleaved. No product is
//! computed twice and none is added through memory. Remainders that look at the same places of the input share
//! one convolution with more output channels. Where the kernel is as large as the stride, that is all of them, and
//! `conv_transpose_product.rs` does it as a plain matrix product.

use crate::conv::PackedConv;
use crate::conv_transpose_product;
use crate::conv_transpose_shape::{Class, ConvTransposeShape, classes};
use crate::epilogue::{Epilogue, Residual};
use crate::isa::{Isa, isa};
use crate::linear_f32::PackedF32;
use crate::math::{apply_inline, per_isa};
use crate::parallel::{self, SharedOut};
use crate::scratch::Scratch;

/// Bytes of intermediate results for which several items are taken together.
const TOGETHER: usize = 4 << 20;

/// A transposed convolution's weight, packed once for [`PackedConvTranspose::apply`].
#[derive(Clone)]
pub struct PackedConvTranspose {
    shape: ConvTransposeShape,
    /// Where the kernel is as large as the stride; there are no parts then.
    product: Option<PackedF32>,
    axes: [Axis; 2],
    /// The convolution of each pair of classes, row by row; none where no tap of the kernel falls.
    parts: Vec<Option<PackedConv>>,
}

/// The classes of remainders along rows or columns.
#[derive(Clone)]
struct Axis {
    classes: Vec<Class>,
    /// For each remainder its class, and its number in the class.
    places: Vec<(usize, usize)>,
}

impl PackedConvTranspose {
    /// Packs a weight `[in_channels, out_channels / groups, height, width]`, as PyTorch stores it.
    ///
    /// # Panics
    /// If the length does not fit the shape, groups do not divide the channels, or a stride, dilation or kernel
    /// size is zero.
    #[must_use]
    pub fn new(weight: &[f32], shape: ConvTransposeShape) -> Self {
        let ConvTransposeShape { out_channels, in_channels, kernel, stride, dilation, groups, .. } = shape;
        let positive = [kernel, stride, dilation].as_flattened().iter().all(|size| *size > 0);
        assert!(positive && groups > 0, "kernel, stride, dilation and groups: above zero is wanted");
        let divides = out_channels.is_multiple_of(groups) && in_channels.is_multiple_of(groups);
        assert!(divides, "groups: a divisor of both channel counts is wanted");
        let wanted = in_channels * (out_channels / groups) * kernel[0] * kernel[1];
        assert_eq!(weight.len(), wanted, "weight: [in, out / groups, height, width] is wanted");
        let product = conv_transpose_product::pack(weight, &shape);
        // Channels by themselves have a kernel of their own, which takes one output for each input.
        let merge = !(groups == in_channels && groups == out_channels);
        let axes = [0, 1].map(|d| {
            let classes = classes(&shape, d, merge);
            let mut places = vec![(0, 0); stride[d]];
            for (class, of) in classes.iter().enumerate() {
                for (member, (remainder, _)) in of.members.iter().enumerate() {
                    places[*remainder] = (class, member);
                }
            }
            Axis { classes, places }
        });
        let pairs = axes[0].classes.iter().flat_map(|y| axes[1].classes.iter().map(move |x| (y, x)));
        let pairs = pairs.filter(|_| product.is_none());
        let parts = pairs.map(|(y, x)| shape.part(weight, y, x)).collect();
        Self { shape, product, axes, parts }
    }

    /// The shape it was packed with.
    #[must_use]
    pub fn shape(&self) -> &ConvTransposeShape {
        &self.shape
    }

    /// `out[batch, out_channels, ...] = epilogue(transposed convolution of input[batch, in_channels, height,
    /// width])`.
    ///
    /// The epilogue's residual has the output's layout. The output's size is that of
    /// [`ConvTransposeShape::output`].
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
        let (taken, made) = (shape.in_channels * size[0] * size[1], shape.out_channels * rows * columns);
        assert_eq!(input.len(), batch * taken, "input: batch x channels x height x width is wanted");
        assert_eq!(out.len(), batch * made, "out: the output's shape is wanted");
        epilogue.check(shape.out_channels, out.len());
        if out.is_empty() {
            return;
        }
        if let Some(product) = &self.product {
            let out = SharedOut::new(out);
            return conv_transpose_product::run(shape, product, input, (batch, size), &out, epilogue);
        }
        let lengths = self.parts.iter().flatten().map(|part| part.shape().out_channels * pixels(part, size));
        let part_length = lengths.max().unwrap_or(0);
        let together = (TOGETHER / 4 / (self.parts.len() * part_length).max(1)).clamp(1, batch);
        let mut buffer = Scratch::floats(together * self.parts.len() * part_length);
        let out = SharedOut::new(out);
        for first in (0..batch).step_by(together) {
            let items = together.min(batch - first);
            let results = buffer.as_floats();
            let input = &input[first * taken..][..items * taken];
            for (index, part) in self.parts.iter().enumerate() {
                if let Some(part) = part {
                    let length = items * part.shape().out_channels * pixels(part, size);
                    let results = &mut results[items * part_length * index..][..length];
                    part.apply(input, items, size, results, &Epilogue::NONE);
                }
            }
            let work = Interleave {
                conv: self,
                size,
                results,
                part_length,
                items,
                first,
                output: [rows, columns],
                epilogue,
            };
            work.run(&out);
        }
    }
}

/// Results of one channel of a part.
fn pixels(part: &PackedConv, size: [usize; 2]) -> usize {
    part.shape().output(size).iter().product()
}

/// The results of all parts for some items, on their way to the output.
struct Interleave<'a> {
    conv: &'a PackedConvTranspose,
    /// Height and width of the input.
    size: [usize; 2],
    results: &'a [f32],
    /// Results of one part for one item, at most; each part begins at a multiple of it.
    part_length: usize,
    items: usize,
    /// Number of the first item in the whole batch.
    first: usize,
    /// Height and width of the output.
    output: [usize; 2],
    epilogue: &'a Epilogue<'a>,
}

impl Interleave<'_> {
    fn run(&self, out: &SharedOut<'_>) {
        let isa = isa();
        let [rows, columns] = self.output;
        let channels = self.conv.shape.out_channels;
        let cost = self.items * channels * rows * columns * 4;
        parallel::for_each(self.items * channels, cost, &|task| {
            let (item, channel) = (task / channels, task % channels);
            let mut buffer = Scratch::floats(columns);
            for y in 0..rows {
                let at = ((self.first * channels + task) * rows + y) * columns;
                // SAFETY: each (item, channel) plane is one task's.
                let out = unsafe { out.part(at, columns) };
                put_row(isa, (out, at), buffer.as_floats(), channel, self.epilogue, &|line| {
                    self.row(isa, item, channel, y, line);
                });
            }
        });
    }

    /// Puts one row of the bare product together.
    fn row(&self, isa: Isa, item: usize, channel: usize, y: usize, line: &mut [f32]) {
        let steps = self.conv.shape.stride[1];
        match steps {
            1 => match self.source(item, channel, y, 0) {
                Some(source) => line.copy_from_slice(source),
                None => line.fill(0.0),
            },
            2 | 4 if line.len() >= steps => {
                let sources: [Option<&[f32]>; 4] =
                    std::array::from_fn(|r| if r < steps { self.source(item, channel, y, r) } else { None });
                match sources {
                    [Some(a), Some(b), ..] if steps == 2 => interleave_two(isa, a, b, line),
                    [Some(a), Some(b), Some(c), Some(d)] => interleave_four(isa, [a, b, c, d], line),
                    _ => sources[..steps].iter().enumerate().for_each(|(r, s)| spread(*s, line, r, steps)),
                }
            }
            _ => {
                for r in 0..steps.min(line.len()) {
                    spread(self.source(item, channel, y, r), line, r, steps);
                }
            }
        }
    }

    /// The results for the columns `remainder`, `remainder + stride`, ... of an output row; `None`: zeros.
    fn source(&self, item: usize, channel: usize, y: usize, remainder: usize) -> Option<&[f32]> {
        let Self { conv, output, .. } = self;
        let ConvTransposeShape { stride, out_channels, groups, .. } = conv.shape;
        let (class_y, member_y) = conv.axes[0].places[y % stride[0]];
        let (class_x, member_x) = conv.axes[1].places[remainder];
        let index = class_y * conv.axes[1].classes.len() + class_x;
        let shape = conv.parts[index].as_ref()?.shape();
        let size = shape.output(self.size);
        let (rows, columns) = (&conv.axes[0].classes[class_y], &conv.axes[1].classes[class_x]);
        let in_group = out_channels / groups;
        let member = member_y * columns.members.len() + member_x;
        let members = rows.members.len() * columns.members.len();
        let plane = (channel / in_group * members + member) * in_group + channel % in_group;
        let start =
            self.items * self.part_length * index + (item * shape.out_channels + plane) * size[0] * size[1];
        let (row, column) = (y / stride[0] + rows.skip, columns.skip);
        let count = (output[1] - remainder).div_ceil(stride[1]);
        Some(&self.results[start + row * size[1] + column..][..count])
    }
}

/// Writes one finished row, which lies at `at` of the output, from what `fill` makes; `line` is scratch.
pub(crate) fn put_row(
    isa: Isa,
    (out, at): (&mut [f32], usize),
    line: &mut [f32],
    channel: usize,
    epilogue: &Epilogue<'_>,
    fill: &dyn Fn(&mut [f32]),
) {
    match epilogue.residual {
        Residual::None => {
            fill(out);
            return finish_row(isa, out, channel, epilogue);
        }
        Residual::Add(all) => out.copy_from_slice(&all[at..at + out.len()]),
        Residual::InPlace => {}
    }
    fill(line);
    finish_row(isa, line, channel, epilogue);
    out.iter_mut().zip(line.iter()).for_each(|(out, value)| *out += value);
}

/// Puts one remainder's values (zeros for `None`) into its places of a row.
fn spread(source: Option<&[f32]>, line: &mut [f32], remainder: usize, stride: usize) {
    let places = line[remainder..].iter_mut().step_by(stride);
    match source {
        Some(source) => places.zip(source).for_each(|(to, from)| *to = *from),
        None => places.for_each(|to| *to = 0.0),
    }
}

per_isa! {
    /// Puts two remainders' values into a row; the first may have one more.
    fn interleave_two(a: &[f32], b: &[f32], line: &mut [f32]) {
        let (pairs, rest) = line.as_chunks_mut::<2>();
        let count = pairs.len();
        for ((pair, a), b) in pairs.iter_mut().zip(&a[..count]).zip(&b[..count]) {
            *pair = [*a, *b];
        }
        rest.iter_mut().zip(&a[count..]).for_each(|(to, from)| *to = *from);
    }
}

per_isa! {
    /// Puts four remainders' values into a row; the first ones may have one more.
    fn interleave_four(from: [&[f32]; 4], line: &mut [f32]) {
        let (fours, rest) = line.as_chunks_mut::<4>();
        let count = fours.len();
        let [a, b, c, d] = from.map(|values| &values[..count]);
        for ((((four, a), b), c), d) in fours.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *four = [*a, *b, *c, *d];
        }
        rest.iter_mut().zip(from).for_each(|(to, from)| *to = from[count]);
    }
}

per_isa! {
    /// Bias, activation and scale of one channel.
    fn finish_row(line: &mut [f32], channel: usize, epilogue: &Epilogue<'_>) {
        if let Some(bias) = epilogue.bias {
            line.iter_mut().for_each(|value| *value += bias[channel]);
        }
        apply_inline::<FMA>(epilogue.activation, line);
        if let Some(scale) = epilogue.scale {
            line.iter_mut().for_each(|value| *value *= scale[channel]);
        }
    }
}
