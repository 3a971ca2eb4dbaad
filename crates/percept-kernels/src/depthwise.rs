//! Depthwise convolution: each channel by itself, row by row of the output.

use crate::conv::{ConvShape, PackedConv};
use crate::epilogue::{Epilogue, Residual};
use crate::isa::Isa;
use crate::math::{Activation, apply_inline, mul_add, per_isa};
use crate::parallel::{self, SharedOut};
use crate::scratch::Scratch;

/// See [`PackedConv::apply`]; lengths have been checked.
pub(crate) fn run(
    isa: Isa,
    conv: &PackedConv,
    input: &[f32],
    batch: usize,
    size: [usize; 2],
    out: &SharedOut<'_>,
    epilogue: &Epilogue<'_>,
) {
    let shape = conv.shape();
    let [rows, columns] = shape.output(size);
    let (plane, pixels) = (size[0] * size[1], rows * columns);
    let cost = batch * shape.out_channels * pixels * shape.depth();
    parallel::for_each(batch * shape.out_channels, cost, &|task| {
        let channel = task % shape.out_channels;
        let mut buffer = Scratch::floats(columns);
        let sums = buffer.as_floats();
        let from = &input[task * plane..][..plane];
        let work = Channel {
            shape,
            weight: conv.row(channel),
            plane: from,
            size,
            bias: epilogue.bias.map_or(0.0, |bias| bias[channel]),
            scale: epilogue.scale.map_or(1.0, |scale| scale[channel]),
            activation: epilogue.activation,
        };
        for y in 0..rows {
            let at = task * pixels + y * columns;
            // SAFETY: each (item, channel) plane is one task's.
            let out = unsafe { out.part(at, columns) };
            match epilogue.residual {
                Residual::None => out.fill(0.0),
                Residual::Add(all) => out.copy_from_slice(&all[at..at + columns]),
                Residual::InPlace => {}
            }
            row(isa, &work, y, sums, out);
        }
    });
}

/// One plane of the input, its kernel, and the epilogue less the residual.
struct Channel<'a> {
    shape: &'a ConvShape,
    weight: &'a [f32],
    plane: &'a [f32],
    /// Height and width of the plane.
    size: [usize; 2],
    bias: f32,
    scale: f32,
    activation: Activation,
}

per_isa! {
    /// Adds one row of the finished output to `out`; `sums` is scratch of the same length.
    fn row(work: &Channel<'_>, y: usize, sums: &mut [f32], out: &mut [f32]) {
        let ConvShape { kernel, stride, padding, dilation, .. } = *work.shape;
        let [height, width] = work.size;
        sums.fill(work.bias);
        for ky in 0..kernel[0] {
            let from = (y * stride[0] + ky * dilation[0]).wrapping_sub(padding[0]);
            if from >= height {
                continue;
            }
            let line = &work.plane[from * width..(from + 1) * width];
            for kx in 0..kernel[1] {
                let w = work.weight[ky * kernel[1] + kx];
                let offset = (kx * dilation[1]).cast_signed() - padding[1].cast_signed();
                // Output columns whose input lies inside the line.
                let first = (-offset).max(0).cast_unsigned().div_ceil(stride[1]);
                let room = (width.cast_signed() - offset).max(0).cast_unsigned();
                let end = room.div_ceil(stride[1]).min(sums.len());
                if first >= end {
                    continue;
                }
                let begin = ((first * stride[1]).cast_signed() + offset).cast_unsigned();
                let sums = &mut sums[first..end];
                if stride[1] == 1 {
                    for (sum, x) in sums.iter_mut().zip(&line[begin..]) {
                        *sum = mul_add::<FMA>(w, *x, *sum);
                    }
                } else {
                    for (sum, x) in sums.iter_mut().zip(line[begin..].iter().step_by(stride[1])) {
                        *sum = mul_add::<FMA>(w, *x, *sum);
                    }
                }
            }
        }
        apply_inline::<FMA>(work.activation, sums);
        for (out, sum) in out.iter_mut().zip(sums.iter()) {
            *out = mul_add::<FMA>(*sum, work.scale, *out);
        }
    }
}
