//! Transposed convolution, pooling and normalisation of feature maps by their definitions, in f64.

use percept_kernels::{
    Activation, ConvTransposeShape, GroupNorm, LastWindow, PackedConvTranspose, Pool, Pooling,
};

use super::convolution::check_epilogues;
use super::{activation, assert_close, numbers, on_each_isa};

/// The definition: every input pixel adds its kernel to the output.
pub(crate) fn scattered(
    shape: &ConvTransposeShape,
    input: &[f32],
    weight: &[f32],
    batch: usize,
    size: [usize; 2],
) -> Vec<f64> {
    let [rows, columns] = shape.output(size);
    let (ins, outs) = (shape.in_channels / shape.groups, shape.out_channels / shape.groups);
    let mut out = vec![0.0; batch * shape.out_channels * rows * columns];
    for (index, x) in input.iter().enumerate() {
        let (plane, iy, ix) = (index / size[0] / size[1], index / size[1] % size[0], index % size[1]);
        let (item, channel) = (plane / shape.in_channels, plane % shape.in_channels);
        for o in 0..outs {
            for ky in 0..shape.kernel[0] {
                for kx in 0..shape.kernel[1] {
                    let y = (iy * shape.stride[0] + ky * shape.dilation[0]).wrapping_sub(shape.padding[0]);
                    let x_out =
                        (ix * shape.stride[1] + kx * shape.dilation[1]).wrapping_sub(shape.padding[1]);
                    if y < rows && x_out < columns {
                        let to = item * shape.out_channels + channel / ins * outs + o;
                        let w = ((channel * outs + o) * shape.kernel[0] + ky) * shape.kernel[1] + kx;
                        out[(to * rows + y) * columns + x_out] += f64::from(*x) * f64::from(weight[w]);
                    }
                }
            }
        }
    }
    out
}

/// Compares a transposed convolution with its definition, bare and with what can follow.
#[track_caller]
pub(crate) fn check_transposed(shape: ConvTransposeShape, batch: usize, size: [usize; 2], kind: Activation) {
    let kernel = shape.kernel[0] * shape.kernel[1];
    let input = numbers(batch * shape.in_channels * size[0] * size[1], 1);
    let weight = numbers(shape.in_channels * (shape.out_channels / shape.groups) * kernel, 2);
    let bare = scattered(&shape, &input, &weight, batch, size);
    let packed = PackedConvTranspose::new(&weight, shape);
    let what = format!("{shape:?} {batch} {size:?}");
    check_epilogues(&bare, shape.out_channels, batch, kind, &what, |out, epilogue| {
        packed.apply(&input, batch, size, out, epilogue);
    });
}

/// One window, in f64.
fn window(pool: &Pool, plane: &[f32], size: [usize; 2], at: [usize; 2]) -> f64 {
    let padding = pool.padding.map(|p| p as i64);
    let start = [0, 1].map(|d| (at[d] * pool.stride[d]) as i64 - padding[d]);
    let end = [0, 1].map(|d| (start[d] + pool.kernel[d] as i64).min(size[d] as i64 + padding[d]));
    let mut values = Vec::new();
    for y in start[0]..end[0] {
        for x in start[1]..end[1] {
            if (0..size[0] as i64).contains(&y) && (0..size[1] as i64).contains(&x) {
                values.push(f64::from(plane[y as usize * size[1] + x as usize]));
            }
        }
    }
    let sum = values.iter().sum::<f64>();
    match pool.pooling {
        Pooling::Maximum => values.into_iter().fold(f64::NEG_INFINITY, f64::max),
        Pooling::Average => sum / ((end[0] - start[0]) * (end[1] - start[1])) as f64,
        Pooling::AverageInside => sum / values.len() as f64,
    }
}

/// Number of windows by counting them: torch's rule in words.
fn windows(pool: &Pool, size: [usize; 2]) -> [usize; 2] {
    [0, 1].map(|d| {
        let (padded, reach) = (size[d] + 2 * pool.padding[d], pool.kernel[d]);
        let starts = (0..).map(|i| i * pool.stride[d]);
        let whole = starts.clone().take_while(|start| start + reach <= padded).count();
        let cut_begins = whole * pool.stride[d];
        let covered = whole > 0 && (whole - 1) * pool.stride[d] + reach >= padded;
        match pool.last {
            LastWindow::Cut if whole > 0 && !covered && cut_begins < size[d] + pool.padding[d] => whole + 1,
            _ => whole,
        }
    })
}

/// Compares pooling with its definition.
#[track_caller]
pub(crate) fn check_pool(pool: Pool, planes: usize, size: [usize; 2]) {
    let output = pool.output(size);
    assert_eq!(output, windows(&pool, size), "{pool:?} {size:?}");
    let input = numbers(planes * size[0] * size[1], 1);
    let each = (0..planes * output[0] * output[1]).map(|i| {
        let plane = &input[i / output[0] / output[1] * size[0] * size[1]..];
        window(&pool, plane, size, [i / output[1] % output[0], i % output[1]])
    });
    let wanted = each.collect::<Vec<_>>();
    on_each_isa(|isa| {
        let mut out = vec![9.0; wanted.len()];
        pool.apply(&input, planes, size, &mut out);
        assert_close(&out, &wanted, 1e-6, &format!("{isa:?} {pool:?} {planes} {size:?}"));
    });
}

/// Compares group normalisation, of values far from zero mean, with its definition.
#[track_caller]
pub(crate) fn check_group_norm(norm: GroupNorm<'_>, batch: usize, pixels: usize) {
    let length = norm.channels / norm.groups * pixels;
    let input = numbers(batch * norm.channels * pixels, 1);
    let input = input.iter().enumerate().map(|(i, v)| v * 2.0 + 10.0 * (i / length % 5) as f32);
    let input = input.collect::<Vec<_>>();
    let mut wanted = Vec::new();
    for (group, values) in input.chunks_exact(length.max(1)).enumerate() {
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / length as f64;
        let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / length as f64;
        for (i, v) in values.iter().enumerate() {
            let channel = group % norm.groups * (norm.channels / norm.groups) + i / pixels;
            let unit = (f64::from(*v) - mean) / (variance + f64::from(norm.eps)).sqrt();
            let weight = norm.weight.map_or(1.0, |w| f64::from(w[channel]));
            let bias = norm.bias.map_or(0.0, |b| f64::from(b[channel]));
            wanted.push(activation(norm.activation, unit * weight + bias));
        }
    }
    on_each_isa(|isa| {
        let mut out = vec![0.0; input.len()];
        norm.apply(&input, batch, &mut out);
        // One rounding of the mean of numbers near 40 is 4e-6, divided by a deviation of about 1.
        assert_close(&out, &wanted, 2e-5, &format!("{isa:?} {norm:?} {batch} {pixels}"));
    });
}
