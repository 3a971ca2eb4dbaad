//! The shape of a transposed convolution, and which outputs read which inputs through which taps.

use crate::conv::{ConvShape, PackedConv};

/// The shape of a transposed convolution, in the terms of `torch.nn.ConvTranspose2d`; pairs are (height,
/// width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTransposeShape {
    /// Channels of the output.
    pub out_channels: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Size of the kernel.
    pub kernel: [usize; 2],
    /// Output pixels from one input pixel to the next.
    pub stride: [usize; 2],
    /// Output pixels cut off on each side.
    pub padding: [usize; 2],
    /// Output pixels added at the bottom and on the right.
    pub output_padding: [usize; 2],
    /// Output pixels from one kernel element to the next.
    pub dilation: [usize; 2],
    /// Groups of channels that do not mix; divides both channel counts.
    pub groups: usize,
}

impl ConvTransposeShape {
    /// A square kernel that steps by its own size: every input pixel becomes a square of output pixels.
    #[must_use]
    pub fn square(out_channels: usize, in_channels: usize, kernel: usize) -> Self {
        Self {
            out_channels,
            in_channels,
            kernel: [kernel; 2],
            stride: [kernel; 2],
            padding: [0; 2],
            output_padding: [0; 2],
            dilation: [1; 2],
            groups: 1,
        }
    }

    /// The same with another stride in both directions.
    #[must_use]
    pub fn stride(self, stride: usize) -> Self {
        Self { stride: [stride; 2], ..self }
    }

    /// The same with pixels cut off on each side.
    #[must_use]
    pub fn padding(self, padding: usize) -> Self {
        Self { padding: [padding; 2], ..self }
    }

    /// The same with pixels added at the bottom and on the right.
    #[must_use]
    pub fn output_padding(self, output_padding: usize) -> Self {
        Self { output_padding: [output_padding; 2], ..self }
    }

    /// The same with groups.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// Height and width of the output for an input of this height and width; 0 where nothing is left.
    #[must_use]
    pub fn output(&self, input: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|d| match input[d] {
            0 => 0,
            size => {
                let spread = (size - 1) * self.stride[d] + self.dilation[d] * (self.kernel[d] - 1) + 1;
                (spread + self.output_padding[d]).saturating_sub(2 * self.padding[d])
            }
        })
    }

    /// The convolution that computes the outputs of a class of rows and a class of columns.
    ///
    /// Its output channels are, within each group, those of the first pair of remainders, then of the next.
    pub(crate) fn part(&self, weight: &[f32], rows: &Class, columns: &Class) -> Option<PackedConv> {
        if rows.taps == 0 || columns.taps == 0 {
            return None;
        }
        let Self { out_channels, in_channels, kernel, groups, .. } = *self;
        let (ins, outs) = (in_channels / groups, out_channels / groups);
        let members = rows.members.iter().flat_map(|y| columns.members.iter().map(move |x| (&y.1, &x.1)));
        let members = members.collect::<Vec<_>>();
        let mut part = Vec::with_capacity(out_channels * members.len() * ins * rows.taps * columns.taps);
        for group in 0..groups {
            for (taps_y, taps_x) in &members {
                for (o, i) in (0..outs).flat_map(|o| (0..ins).map(move |i| (o, i))) {
                    let from = &weight[((group * ins + i) * outs + o) * kernel[0] * kernel[1]..];
                    for ky in *taps_y {
                        part.extend(taps_x.iter().map(|kx| from[ky * kernel[1] + kx]));
                    }
                }
            }
        }
        let shape = ConvShape {
            out_channels: out_channels * members.len(),
            in_channels,
            kernel: [rows.taps, columns.taps],
            stride: [1; 2],
            padding: [rows.padding, columns.padding],
            dilation: [rows.step, columns.step],
            groups,
        };
        Some(PackedConv::new(&part, shape))
    }
}

/// Remainders of output positions, modulo the stride, that read the same places of the input: output
/// `remainder + stride t` reads inputs `t + first`, `t + first + step`, ...
#[derive(Clone, Debug)]
pub(crate) struct Class {
    /// Each remainder with its taps of the kernel, in the order of the inputs.
    pub(crate) members: Vec<(usize, Vec<usize>)>,
    /// Taps of each.
    pub(crate) taps: usize,
    /// Inputs from one tap to the next.
    pub(crate) step: usize,
    /// Zeros that its convolution needs around the input.
    pub(crate) padding: usize,
    /// Results of its convolution before the one of t = 0.
    pub(crate) skip: usize,
    first: isize,
}

/// The classes along axis `d`; each remainder by itself unless they may `merge`.
pub(crate) fn classes(shape: &ConvTransposeShape, d: usize, merge: bool) -> Vec<Class> {
    let [kernel, stride, padding, dilation, output_padding] =
        [shape.kernel, shape.stride, shape.padding, shape.dilation, shape.output_padding]
            .map(|pair| pair[d].cast_signed());
    let mut classes = Vec::<Class>::new();
    for remainder in 0..stride {
        let offset = |tap: isize| remainder + padding - tap * dilation;
        // The larger the tap, the earlier the input.
        let taps =
            (0..kernel).rev().filter(|tap| offset(*tap).rem_euclid(stride) == 0).collect::<Vec<isize>>();
        let place = |tap: isize| offset(tap).div_euclid(stride);
        let first = taps.first().map_or(0, |tap| place(*tap));
        let reach = taps.last().map_or(1, |tap| place(*tap) - first + 1);
        let step = if taps.len() > 1 { place(taps[1]) - first } else { 1 };
        // The last t is this much beyond the last input.
        let beyond = (dilation * (kernel - 1) + output_padding - 2 * padding - remainder).div_euclid(stride);
        let zeros = (-first).max(beyond - 1 + first + reach).max(0);
        let member = (remainder.cast_unsigned(), taps.iter().map(|tap| tap.cast_unsigned()).collect());
        let same = |class: &&mut Class| merge && class.taps == taps.len() && class.first == first;
        match classes.iter_mut().find(same) {
            Some(class) => {
                class.members.push(member);
                class.padding = class.padding.max(zeros.cast_unsigned());
            }
            None => classes.push(Class {
                members: vec![member],
                taps: taps.len(),
                step: step.cast_unsigned(),
                padding: zeros.cast_unsigned(),
                skip: 0,
                first,
            }),
        }
    }
    for class in &mut classes {
        class.skip = (class.first + class.padding.cast_signed()).cast_unsigned();
    }
    classes
}
