//! Additions that repeat one operand.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::Result;
use crate::cpu::run_kernel;

/// `x` `[batch, ..]` plus `y` `[batch or 1, ..]`, whose other dimensions are those of `x`: 1 means that all items get
/// the same.
pub fn add_to_each(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if x.dims().get(1..) != y.dims().get(1..) || (y.dim(0)? != 1 && y.dim(0)? != x.dim(0)?) {
        candle_core::bail!("{:?} cannot be added to each of {:?}", y.dims(), x.dims());
    }
    if !matches!(x.device(), Device::Cpu) {
        return x.broadcast_add(y);
    }
    /// Numbers that one task adds.
    const PART: usize = 1 << 14;
    run_kernel("add-to-each", [x, y], |operands| {
        let [(x, shape), (y, _)] = operands else { unreachable!("two were given") };
        let mut out = vec![0.0; x.len()];
        let item = y.len().max(1);
        out.par_chunks_mut(item).zip(x.par_chunks(item)).for_each(|(out, x)| {
            let parts = out.par_chunks_mut(PART).zip(x.par_chunks(PART)).zip(y.par_chunks(PART));
            parts.for_each(|((out, x), y)| {
                out.iter_mut().zip(x).zip(y).for_each(|((out, x), y)| *out = x + y);
            });
        });
        Ok((out, (*shape).into()))
    })
}

/// The logistic function of every element.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    candle_nn::ops::sigmoid(x)
}
