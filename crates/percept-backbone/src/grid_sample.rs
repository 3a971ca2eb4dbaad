//! Reading feature maps at given points.

use candle_core::{D, DType, Tensor};
use percept_kernels::{Between, Extent, GridSample, Outside};

use crate::Result;
use crate::cpu::{Engine, run_kernel};

/// How [`grid_sample`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridSampling {
    /// How a value between pixels is found (torch's `mode`).
    pub between: Between,
    /// What lies around the input (`padding_mode`).
    pub outside: Outside,
    /// What -1 and 1 stand for (`align_corners`).
    pub extent: Extent,
}

/// `torch.nn.functional.grid_sample`: `x` `[batch, channels, height, width]` at `grid` `[batch, rows, columns, 2]` of
/// (x, y) in -1 to 1, to `[batch, channels, rows, columns]`.
///
/// Not on the processor it is composed of candle's gathers.
pub fn grid_sample(x: &Tensor, grid: &Tensor, sampling: GridSampling) -> Result<Tensor> {
    grid_sample_on(x, grid, sampling, Engine::of(x.device()))
}

pub(crate) fn grid_sample_on(
    x: &Tensor,
    grid: &Tensor,
    sampling: GridSampling,
    engine: Engine,
) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let (items, rows, columns, pair) = grid.dims4()?;
    if items != batch || pair != 2 || height * width == 0 {
        candle_core::bail!("grid sample: {:?} at {:?}", x.dims(), grid.dims());
    }
    let shape = (batch, channels, rows, columns);
    if engine == Engine::Candle {
        let x = x.reshape((batch, channels, height * width))?;
        let grid = grid.reshape((batch, rows * columns, 2))?;
        return read_planes(&x, [height, width], &grid, sampling)?.reshape(shape);
    }
    run_kernel("grid-sample", [x, grid], |operands| {
        let GridSampling { between, outside, extent } = sampling;
        let sample = GridSample { between, outside, extent, input: [height, width] };
        let mut out = vec![0.0; batch * channels * rows * columns];
        sample.apply(operands[0].0, channels, operands[1].0, batch, &mut out);
        Ok((out, shape.into()))
    })
}

/// `[batch, channels, pixels]` at `[batch, points, 2]`, by candle's operations.
pub(crate) fn read_planes(
    x: &Tensor,
    size: [usize; 2],
    grid: &Tensor,
    sampling: GridSampling,
) -> Result<Tensor> {
    let axis = |d: usize| {
        let size = size[1 - d] as f64;
        let at = (grid.narrow(D::Minus1, d, 1)?.squeeze(D::Minus1)? + 1.0)?;
        let at = match sampling.extent {
            Extent::Edges => (((at * size)? - 1.0)? / 2.0)?,
            Extent::Corners => (at * ((size - 1.0) / 2.0))?,
        };
        match sampling.outside {
            Outside::Border => at.clamp(0.0, size - 1.0),
            Outside::Zeros => at.clamp(-2.0, size + 1.0),
        }
    };
    let (across, down) = (axis(0)?, axis(1)?);
    if sampling.between == Between::Nearest {
        return pixels(x, size, &round_ties_even(&across)?, &round_ties_even(&down)?, None);
    }
    let (left, top) = (across.floor()?, down.floor()?);
    let (right_part, bottom_part) = ((across - &left)?, (down - &top)?);
    let mut sum: Option<Tensor> = None;
    for (row, part_y) in [(top.clone(), (1.0 - &bottom_part)?), ((top + 1.0)?, bottom_part)] {
        for (column, part_x) in [(left.clone(), (1.0 - &right_part)?), ((&left + 1.0)?, right_part.clone())] {
            let part = pixels(x, size, &column, &row, Some(&(&part_x * &part_y)?))?;
            sum = Some(sum.map_or(Ok(part.clone()), |sum| sum + part)?);
        }
    }
    sum.ok_or_else(|| candle_core::Error::Msg("grid sample: four corners were added".into()))
}

/// The values at whole positions `[batch, points]` times a factor; zero outside.
fn pixels(
    x: &Tensor,
    size: [usize; 2],
    column: &Tensor,
    row: &Tensor,
    factor: Option<&Tensor>,
) -> Result<Tensor> {
    let [height, width] = size.map(|size| size as f64);
    let held = [column.clamp(0.0, width - 1.0)?, row.clamp(0.0, height - 1.0)?];
    let inside = (held[0].eq(column)?.to_dtype(DType::F32)? * held[1].eq(row)?.to_dtype(DType::F32)?)?;
    // In whole numbers: f32 could not count the pixels of a large map.
    let [column, row] = held.map(|at| at.to_dtype(DType::I64));
    let place = ((row? * size[1] as f64)? + column?)?.to_dtype(DType::U32)?;
    let factor = factor.map_or(Ok(inside.clone()), |factor| factor * &inside)?;
    read_pixels(x, &place)?.broadcast_mul(&factor.unsqueeze(1)?)
}

/// `[batch, channels, pixels]` at the places `[batch, points]`.
pub(crate) fn read_pixels(x: &Tensor, place: &Tensor) -> Result<Tensor> {
    let (batch, channels, _) = x.dims3()?;
    let place = place.unsqueeze(1)?.expand((batch, channels, place.dim(1)?))?;
    x.contiguous()?.gather(&place.contiguous()?, 2)
}

/// candle rounds halves away from zero.
fn round_ties_even(x: &Tensor) -> Result<Tensor> {
    let rounded = x.round()?;
    let even = ((x / 2.0)?.round()? * 2.0)?;
    let tie = (x - x.floor()?)?.eq(0.5)?;
    tie.where_cond(&even, &rounded)
}
