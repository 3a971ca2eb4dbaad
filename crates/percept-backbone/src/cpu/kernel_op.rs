//! Kernels of one to three operands as candle operations.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Shape, Tensor};

use super::whole;
use crate::{Result, ToContiguous};

/// An operand: its elements and its dimensions.
pub(crate) type Operand<'a> = (&'a [f32], &'a [usize]);

/// Runs a kernel on contiguous f32 operands on the processor; it answers elements and their shape.
pub(crate) fn run_kernel<const N: usize>(
    name: &'static str,
    operands: [&Tensor; N],
    kernel: impl Fn(&[Operand<'_>]) -> Result<(Vec<f32>, Shape)> + Send + Sync,
) -> Result<Tensor> {
    const { assert!(N >= 1 && N <= 3, "candle's operations have one to three operands") };
    let op = KernelOp { name, kernel };
    let operands = operands.iter().map(|tensor| tensor.to_contiguous()).collect::<Result<Vec<_>>>()?;
    match operands.as_slice() {
        [x] => x.apply_op1_no_bwd(&op),
        [x, y] => x.apply_op2_no_bwd(y, &op),
        [x, y, z] => x.apply_op3_no_bwd(y, z, &op),
        _ => candle_core::bail!("{name}: one to three operands are wanted"),
    }
}

struct KernelOp<F> {
    name: &'static str,
    kernel: F,
}

impl<F: Fn(&[Operand<'_>]) -> Result<(Vec<f32>, Shape)> + Send + Sync> KernelOp<F> {
    fn run(&self, operands: &[(&CpuStorage, &Layout)]) -> Result<(CpuStorage, Shape)> {
        let operands = operands.iter().map(|(storage, layout)| Ok((whole(storage, layout)?, layout.dims())));
        let (values, shape) = (self.kernel)(&operands.collect::<Result<Vec<_>>>()?)?;
        Ok((CpuStorage::F32(values), shape))
    }
}

impl<F: Fn(&[Operand<'_>]) -> Result<(Vec<f32>, Shape)> + Send + Sync> CustomOp1 for KernelOp<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, x: &CpuStorage, x_layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(&[(x, x_layout)])
    }
}

impl<F: Fn(&[Operand<'_>]) -> Result<(Vec<f32>, Shape)> + Send + Sync> CustomOp2 for KernelOp<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.run(&[(x, x_layout), (y, y_layout)])
    }
}

impl<F: Fn(&[Operand<'_>]) -> Result<(Vec<f32>, Shape)> + Send + Sync> CustomOp3 for KernelOp<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
        z: &CpuStorage,
        z_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.run(&[(x, x_layout), (y, y_layout), (z, z_layout)])
    }
}
