//! Resizing of feature maps `[batch, channels, height, width]`, each filter under its name.

use candle_core::Tensor;
use percept_kernels::{Alignment, Filter, Resize};

use crate::Result;
use crate::cpu::{Engine, run_kernel};

/// `torch.nn.functional.interpolate(x, size=...)`: `[batch, channels, ..]` to `[batch, channels, height, width]`.
///
/// Not on the processor it is two products with dense matrices, made anew in each call.
pub fn resize(x: &Tensor, size: [usize; 2], filter: Filter, alignment: Alignment) -> Result<Tensor> {
    resize_on(x, size, filter, alignment, Engine::of(x.device()))
}

/// `torch.nn.functional.interpolate(x, scale_factor=...)` without aligned corners; factors are (height, width). Sizes
/// are rounded down, and the step is 1 / factor, not the ratio of the sizes.
pub fn resize_by(x: &Tensor, factor: [f64; 2], filter: Filter) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    let size = [(height, factor[0]), (width, factor[1])];
    if factor.iter().any(|factor| !factor.is_finite() || *factor <= 0.0) {
        candle_core::bail!("resize: factors above zero are wanted, not {factor:?}");
    }
    let size = size.map(|(size, factor)| (size as f64 * factor) as usize);
    resize(x, size, filter, Alignment::EdgesByFactor(factor))
}

/// One axis of [`resize`] as a dense matrix `[output, input]`, row by row: for those who resize a part at a time.
pub fn resize_matrix(input: usize, output: usize, filter: Filter, alignment: Alignment) -> Vec<f32> {
    Resize { filter, alignment, input: [input; 2], output: [output; 2] }.matrix(0)
}

/// [`resize`] of planes `[planes, height, width]` a few rows at a time, for outputs that are too large to be in memory at
/// once. `band(first, rows)` is called for consecutive bands from the top, with the number of their first row and
/// `[planes, rows, width]`. It runs on the processor.
pub fn resize_in_bands(
    planes: &Tensor,
    size: [usize; 2],
    filter: Filter,
    alignment: Alignment,
    mut band: impl FnMut(usize, &[f32]),
) -> Result<()> {
    /// Values in a band, about: they stay in the second-level cache of a few processors.
    const BAND: usize = 1 << 20;
    let (count, height, width) = planes.dims3()?;
    let resize = checked(filter, alignment, [height, width], size)?;
    let input = planes.flatten_all()?.to_vec1::<f32>()?;
    let together = (BAND / (count * size[1]).max(1)).clamp(1, size[0]);
    let mut values = vec![0.0; count * together * size[1]];
    for first in (0..size[0]).step_by(together) {
        let rows = together.min(size[0] - first);
        let values = &mut values[..count * rows * size[1]];
        resize.apply_rows(&input, count, first..first + rows, values);
        band(first, values);
    }
    Ok(())
}

/// [`resize`] of one plane of numbers.
pub(crate) fn resize_plane(
    plane: &[f32],
    (from, to): ([usize; 2], [usize; 2]),
    (filter, alignment): (Filter, Alignment),
    out: &mut [f32],
) {
    Resize { filter, alignment, input: from, output: to }.apply(plane, 1, out);
}

/// For each pixel of `planes` `[planes, height, width]`, resized to `size`, which plane is largest there and that plane's
/// softmax probability: what [`resize`], arg max and softmax give, without the resized planes. `band(first, best,
/// probability)` is called for consecutive bands of rows from the top, with the number of their first row and `[rows,
/// width]` each. It runs on the processor.
pub fn likeliest_resized(
    planes: &Tensor,
    size: [usize; 2],
    filter: Filter,
    alignment: Alignment,
    mut band: impl FnMut(usize, &[u16], &[f32]),
) -> Result<()> {
    /// Rows of a band: many output rows come of two input rows, which are resized along the band once.
    const ROWS: usize = 256;
    let (count, height, width) = planes.dims3()?;
    let resize = checked(filter, alignment, [height, width], size)?;
    if count == 0 {
        candle_core::bail!("resize: a plane at least is wanted");
    }
    let input = planes.flatten_all()?.to_vec1::<f32>()?;
    let most = ROWS.min(size[0]) * size[1];
    let (mut best, mut probability) = (vec![0; most], vec![0.0; most]);
    for first in (0..size[0]).step_by(ROWS) {
        let rows = ROWS.min(size[0] - first);
        let (best, probability) = (&mut best[..rows * size[1]], &mut probability[..rows * size[1]]);
        resize.likeliest_rows(&input, count, first..first + rows, best, probability);
        band(first, best, probability);
    }
    Ok(())
}

fn checked(filter: Filter, alignment: Alignment, input: [usize; 2], output: [usize; 2]) -> Result<Resize> {
    if input[0] * input[1] * output[0] * output[1] == 0 {
        candle_core::bail!("resize: {input:?} to {output:?} pixels");
    }
    if filter == Filter::Nearest && alignment == Alignment::Corners {
        candle_core::bail!("resize: the nearest pixel knows no corners");
    }
    Ok(Resize { filter, alignment, input, output })
}

pub(crate) fn resize_on(
    x: &Tensor,
    size: [usize; 2],
    filter: Filter,
    alignment: Alignment,
    engine: Engine,
) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let resize = checked(filter, alignment, [height, width], size)?;
    let shape = (batch, channels, size[0], size[1]);
    if engine == Engine::Candle {
        let matrix =
            |axis: usize| Tensor::from_vec(resize.matrix(axis), (size[axis], resize.input[axis]), x.device());
        let wide = x.reshape((batch * channels * height, width))?.matmul(&matrix(1)?.t()?)?;
        let planes = wide.reshape((batch * channels, height, size[1]))?;
        return matrix(0)?.broadcast_matmul(&planes)?.reshape(shape);
    }
    run_kernel("resize", [x], |operands| {
        let mut out = vec![0.0; batch * channels * size[0] * size[1]];
        resize.apply(operands[0].0, batch * channels, &mut out);
        Ok((out, shape.into()))
    })
}
