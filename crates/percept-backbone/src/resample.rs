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

pub(crate) fn resize_on(
    x: &Tensor,
    size: [usize; 2],
    filter: Filter,
    alignment: Alignment,
    engine: Engine,
) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let resize = Resize { filter, alignment, input: [height, width], output: size };
    if height * width * size[0] * size[1] == 0 {
        candle_core::bail!("resize: {:?} to {size:?} pixels", x.dims());
    }
    if filter == Filter::Nearest && alignment == Alignment::Corners {
        candle_core::bail!("resize: the nearest pixel knows no corners");
    }
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
