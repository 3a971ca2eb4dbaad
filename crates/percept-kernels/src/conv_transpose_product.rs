//! Transposed convolution whose kernel is as large as its stride: each input pixel becomes a block of output
//! pixels of its own, so it is one matrix product of pixels and weights, and its rows are dealt out.

use crate::conv_transpose::put_row;
use crate::conv_transpose_shape::ConvTransposeShape;
use crate::epilogue::Epilogue;
use crate::isa::isa;
use crate::linear_f32::PackedF32;
use crate::math::per_isa;
use crate::matmul::Matmul;
use crate::parallel::{self, SharedOut};
use crate::scratch::Scratch;

/// Numbers of a product that are kept at once.
const TOGETHER: usize = 1 << 20;
/// Side of a block of a matrix that is turned.
const BLOCK: usize = 16;

/// Packs the weight if the shape is of this kind.
pub(crate) fn pack(weight: &[f32], shape: &ConvTransposeShape) -> Option<PackedF32> {
    let ConvTransposeShape { out_channels, in_channels, kernel, stride, .. } = *shape;
    let plain = shape.padding == [0; 2] && shape.output_padding == [0; 2] && shape.dilation == [1; 2];
    if !(kernel == stride && plain && shape.groups == 1 && in_channels > 0) {
        return None;
    }
    let columns = out_channels * kernel[0] * kernel[1];
    let mut turned = vec![0.0; weight.len()];
    for (i, row) in weight.chunks_exact(columns.max(1)).enumerate() {
        row.iter().enumerate().for_each(|(column, value)| turned[column * in_channels + i] = *value);
    }
    Some(PackedF32::new(&turned, columns, in_channels))
}

/// See [`crate::PackedConvTranspose::apply`]; lengths have been checked.
pub(crate) fn run(
    shape: &ConvTransposeShape,
    weight: &PackedF32,
    input: &[f32],
    (batch, size): (usize, [usize; 2]),
    out: &SharedOut<'_>,
    epilogue: &Epilogue<'_>,
) {
    let isa = isa();
    let ConvTransposeShape { out_channels, in_channels, kernel, .. } = *shape;
    let [height, width] = size;
    let pixels = height * width;
    let made = weight.channels();
    let rows_together = (TOGETHER / (width * made.max(in_channels))).clamp(1, height);
    let mut buffers = [in_channels, made].map(|columns| Scratch::floats(rows_together * width * columns));
    let slices = out_channels.div_ceil(BLOCK);
    for (item, first) in (0..batch).flat_map(|i| (0..height).step_by(rows_together).map(move |y| (i, y))) {
        let rows = rows_together.min(height - first);
        let count = rows * width;
        let [turned, product] = buffers.each_mut().map(Scratch::as_floats);
        let (turned, product) = (&mut turned[..count * in_channels], &mut product[..count * made]);
        let planes = &input[item * in_channels * pixels..][..in_channels * pixels];
        let shared = SharedOut::new(turned);
        parallel::for_each(count.div_ceil(BLOCK), count * in_channels, &|block| {
            let at = block * BLOCK;
            let columns = BLOCK.min(count - at);
            // SAFETY: each block of pixels is one task's.
            let to = unsafe { shared.part(at * in_channels, columns * in_channels) };
            turn(isa, &planes[first * width + at..], pixels, to, in_channels);
        });
        weight.matmul(turned, product, &Epilogue::NONE);
        let product = &*product;
        let columns = width * kernel[1];
        parallel::for_each(rows * slices, count * made * 2, &|task| {
            let (y, slice) = (task / slices, task % slices);
            let mut buffer = Scratch::floats(columns);
            let line = buffer.as_floats();
            let from = &product[y * width * made..][..width * made];
            for channel in slice * BLOCK..out_channels.min((slice + 1) * BLOCK) {
                for ky in 0..kernel[0] {
                    let plane = item * out_channels + channel;
                    let at = ((plane * height + first + y) * kernel[0] + ky) * columns;
                    // SAFETY: each row of the output is one task's.
                    let out = unsafe { out.part(at, columns) };
                    let skip = (channel * kernel[0] + ky) * kernel[1];
                    put_row(isa, (out, at), line, channel, epilogue, &|line| {
                        deal(isa, &from[skip..], made, line, kernel[1]);
                    });
                }
            }
        });
    }
}

per_isa! {
    /// Rows of `to`, `width` long, from columns of `from`, whose rows are `stride` apart.
    fn turn(from: &[f32], stride: usize, to: &mut [f32], width: usize) {
        let rows = to.len() / width;
        for first in (0..width).step_by(BLOCK) {
            for column in first..width.min(first + BLOCK) {
                let line = &from[column * stride..][..rows];
                for (row, value) in line.iter().enumerate() {
                    to[row * width + column] = *value;
                }
            }
        }
    }
}

per_isa! {
    /// Fills `line` with pieces of `length` numbers that are `stride` apart.
    fn deal(from: &[f32], stride: usize, line: &mut [f32], length: usize) {
        // Pieces whose length the compiler knows are single moves.
        match length {
            2 => deal_pieces::<2>(from, stride, line),
            4 => deal_pieces::<4>(from, stride, line),
            _ => {
                for (to, from) in line.chunks_exact_mut(length).zip(from.chunks(stride)) {
                    to.copy_from_slice(&from[..length]);
                }
            }
        }
    }
}

#[inline(always)]
fn deal_pieces<const LENGTH: usize>(from: &[f32], stride: usize, line: &mut [f32]) {
    for (to, from) in line.as_chunks_mut::<LENGTH>().0.iter_mut().zip(from.chunks(stride)) {
        to.copy_from_slice(&from[..LENGTH]);
    }
}
