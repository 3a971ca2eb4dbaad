//! `activation(x W^T + b) + residual` with packed weights.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape};
use percept_core::Precision;
use percept_kernels::{Activation, Epilogue, PackedBf16, PackedF32, PackedInt8, Residual};

use super::whole;
use crate::Result;

/// A weight `[out, in]`, packed once in the number format that it is multiplied in.
pub(crate) enum Packed {
    F32(PackedF32),
    Bf16(PackedBf16),
    Int8(PackedInt8),
}

impl Packed {
    /// Packs a weight, row by row as PyTorch stores it.
    pub(crate) fn new(weight: &[f32], output: usize, input: usize, precision: Precision) -> Self {
        match precision {
            Precision::Auto | Precision::F32 => Self::F32(PackedF32::new(weight, output, input)),
            Precision::Bf16 => Self::Bf16(PackedBf16::new(weight, output, input)),
            Precision::Int8 => Self::Int8(PackedInt8::new(weight, output, input)),
        }
    }

    /// Makes now, on all threads, what the first product of many rows would make on one.
    pub(crate) fn prepare(&self) {
        if let Self::F32(packed) = self {
            packed.prepare();
        }
    }

    pub(crate) fn input(&self) -> usize {
        match self {
            Self::F32(packed) => packed.depth(),
            Self::Bf16(packed) => packed.depth(),
            Self::Int8(packed) => packed.depth(),
        }
    }

    pub(crate) fn output(&self) -> usize {
        match self {
            Self::F32(packed) => packed.channels(),
            Self::Bf16(packed) => packed.channels(),
            Self::Int8(packed) => packed.channels(),
        }
    }

    fn matmul(&self, input: &[f32], out: &mut [f32], epilogue: &Epilogue<'_>) {
        match self {
            Self::F32(packed) => packed.matmul(input, out, epilogue),
            Self::Bf16(packed) => packed.matmul(input, out, epilogue),
            Self::Int8(packed) => packed.matmul(input, out, epilogue),
        }
    }
}

/// The operation: of `x`, or of `x` and a residual of the output's shape.
pub(crate) struct LinearOp {
    pub(crate) weight: Arc<Packed>,
    pub(crate) bias: Option<Arc<[f32]>>,
    pub(crate) activation: Activation,
}

impl LinearOp {
    fn run(&self, x: &[f32], layout: &Layout, residual: Residual<'_>) -> (CpuStorage, Shape) {
        let mut shape = layout.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = self.weight.output();
        }
        let mut out = vec![0.0; x.len() / self.weight.input() * self.weight.output()];
        let epilogue =
            Epilogue::NONE.bias(self.bias.as_deref()).activation(self.activation).residual(residual);
        self.weight.matmul(x, &mut out, &epilogue);
        (CpuStorage::F32(out), shape.into())
    }
}

impl CustomOp1 for LinearOp {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok(self.run(whole(x, layout)?, layout, Residual::None))
    }
}

impl CustomOp2 for LinearOp {
    fn name(&self) -> &'static str {
        "linear-residual"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let residual = whole(residual, residual_layout)?;
        Ok(self.run(whole(x, layout)?, layout, Residual::Add(residual)))
    }
}
