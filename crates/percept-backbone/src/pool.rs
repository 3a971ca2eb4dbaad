//! Maximum and average pooling of feature maps.

use candle_core::{Device, Tensor, bail};
use percept_kernels::{LastWindow, Pool, Pooling};
use rayon::prelude::*;

use crate::cpu::{Engine, run_kernel};
use crate::{Result, ToContiguous};

/// Pools `[batch, channels, height, width]`, as `torch.nn.MaxPool2d` and `torch.nn.AvgPool2d`.
pub fn pool(x: &Tensor, pool: &Pool) -> Result<Tensor> {
    pool_on(x, pool, Engine::of(x.device()))
}

pub(crate) fn pool_on(x: &Tensor, pool: &Pool, engine: Engine) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let narrow = [0, 1].iter().all(|d| 2 * pool.padding[*d] <= pool.kernel[*d]);
    if !narrow || [pool.kernel, pool.stride].as_flattened().contains(&0) {
        bail!("pool: {pool:?} pads more than half a window, or has none");
    }
    let [rows, columns] = pool.output([height, width]);
    if rows * columns == 0 {
        bail!("pool: no window of {pool:?} fits into {height} x {width}");
    }
    if engine == Engine::Candle {
        return composed(x, pool, [rows, columns]);
    }
    run_kernel("pool", [x], |operands| {
        let mut out = vec![0.0; batch * channels * rows * columns];
        pool.apply(operands[0].0, batch * channels, [height, width], &mut out);
        Ok((out, (batch, channels, rows, columns).into()))
    })
}

/// The largest of as many tokens down and across as `stride` says, of maps `[batch, height, width, channels]`; tokens
/// that fill no window are left out.
pub fn max_pool_tokens(x: &Tensor, stride: [usize; 2]) -> Result<Tensor> {
    let (batch, height, width, channels) = x.dims4()?;
    if stride.contains(&0) {
        bail!("pool: windows of {stride:?} tokens");
    }
    let (rows, columns) = (height / stride[0], width / stride[1]);
    if rows * columns == 0 {
        bail!("pool: no window of {stride:?} fits into {height} x {width}");
    }
    if !matches!(x.device(), Device::Cpu) {
        let (kernel, padding) = (stride, [0, 0]);
        let all = Pool { pooling: Pooling::Maximum, kernel, stride, padding, last: LastWindow::Whole };
        return pool(&x.permute([0, 3, 1, 2])?.to_contiguous()?, &all)?
            .permute([0, 2, 3, 1])?
            .to_contiguous();
    }
    run_kernel("pool-tokens", [x], |operands| {
        let values = operands[0].0;
        let mut out = vec![f32::NEG_INFINITY; batch * rows * columns * channels];
        out.par_chunks_mut(columns * channels).enumerate().for_each(|(line, out)| {
            let (item, row) = (line / rows, line % rows);
            for (column, out) in out.chunks_exact_mut(channels).enumerate() {
                for y in row * stride[0]..(row + 1) * stride[0] {
                    let first = ((item * height + y) * width + column * stride[1]) * channels;
                    for token in values[first..][..stride[1] * channels].chunks_exact(channels) {
                        out.iter_mut().zip(token).for_each(|(most, value)| *most = most.max(*value));
                    }
                }
            }
        });
        Ok((out, (batch, rows, columns, channels).into()))
    })
}

/// By candle's pooling, which knows no padding: what lies around is written out.
fn composed(x: &Tensor, pool: &Pool, output: [usize; 2]) -> Result<Tensor> {
    let (kernel, stride) = ((pool.kernel[0], pool.kernel[1]), (pool.stride[0], pool.stride[1]));
    // From the first pixel of the first window to the last of the last.
    let extent = [0, 1].map(|d| (output[d] - 1) * pool.stride[d] + pool.kernel[d]);
    let framed = |x: &Tensor, value: f32| {
        let x = frame(x, 2, pool.padding[0], extent[0], value)?;
        frame(&x, 3, pool.padding[1], extent[1], value)
    };
    if pool.pooling == Pooling::Maximum {
        return framed(x, f32::NEG_INFINITY)?.max_pool2d_with_stride(kernel, stride);
    }
    // The share of each window that counts, to divide by.
    let (height, width) = (x.dim(2)?, x.dim(3)?);
    let counted = match pool.pooling {
        Pooling::AverageInside => framed(&Tensor::ones((1, 1, height, width), x.dtype(), x.device())?, 0.0)?,
        _ => {
            let size = [height, width];
            let padded = [0, 1].map(|d| size[d] + 2 * pool.padding[d]);
            let ones = Tensor::ones((1, 1, padded[0], padded[1]), x.dtype(), x.device())?;
            frame(&frame(&ones, 2, 0, extent[0], 0.0)?, 3, 0, extent[1], 0.0)?
        }
    };
    let share = counted.avg_pool2d_with_stride(kernel, stride)?;
    framed(x, 0.0)?.avg_pool2d_with_stride(kernel, stride)?.broadcast_div(&share)
}

/// `before` pixels of `value`, then `x`, then more or less of it until there are `length`.
fn frame(x: &Tensor, dim: usize, before: usize, length: usize, value: f32) -> Result<Tensor> {
    let filled = |count: usize| {
        let mut shape = x.dims().to_vec();
        shape[dim] = count;
        Tensor::full(value, shape, x.device())
    };
    let kept = x.dim(dim)?.min(length - before);
    let x = x.narrow(dim, 0, kept)?;
    Tensor::cat(&[filled(before)?, x, filled(length - before - kept)?], dim)?.to_contiguous()
}
