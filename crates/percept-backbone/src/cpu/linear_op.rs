//! `activation(x W^T + b) + residual` with packed weights.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape, Tensor};
use percept_core::Precision;
use percept_kernels::{
    Activation, Epilogue, Matmul, PackedBf16, PackedF32, PackedHalf, PackedInt8, ReadRows, Residual, rows_in,
};

use super::{arithmetic, whole, with_values};
use crate::Result;
use crate::weights::{Stack, Stored, WeightsError};

/// A weight `[out, in]`, packed once in the number format that it is multiplied in.
pub(crate) enum Packed {
    F32(PackedF32),
    /// Multiplied in f32, kept in half precision as it was stored.
    Half(PackedHalf),
    Bf16(PackedBf16),
    Int8(PackedInt8),
}

impl Packed {
    /// Packs a weight, row by row as PyTorch stores it, for products of many rows.
    pub(crate) fn new(weight: &[f32], output: usize, input: usize, precision: Precision) -> Self {
        let Ok(packed) = Self::from_rows(output, input, precision, &rows_in(weight, input));
        packed
    }

    /// Packs matrices as they are read, on all threads: they are in memory in their packed form only.
    /// Where a few rows are multiplied at a time, f32 keeps a weight of halves in halves.
    pub(crate) fn load(stack: &Stack, precision: Precision, few_rows: bool) -> Result<Self, WeightsError> {
        let (output, input) = (stack.rows(), stack.depth());
        let floats = |first: usize, rows: &mut [f32]| stack.read_floats(first, rows);
        match (precision, stack.stored()) {
            (Precision::Auto | Precision::F32 | Precision::Bf16x3, Some(Stored::F16))
                if few_rows && input > 0 =>
            {
                PackedHalf::from_rows(output, input, &|first, rows| stack.read_halves(first, rows))
                    .map(Self::Half)
            }
            (Precision::Auto | Precision::F32 | Precision::Bf16x3, _) if few_rows => {
                PackedF32::from_rows(output, input, &floats).map(Self::F32)
            }
            (Precision::Int8, Some(Stored::Int8)) => {
                let codes = |first: usize, rows: &mut [i8]| stack.read_codes(first, rows);
                PackedInt8::from_code_rows(&stack.factors()?, output, input, &codes).map(Self::Int8)
            }
            _ => Self::from_rows(output, input, precision, &floats),
        }
    }

    fn from_rows<E: Send>(
        output: usize,
        input: usize,
        precision: Precision,
        read: &ReadRows<'_, f32, E>,
    ) -> Result<Self, E> {
        match precision {
            Precision::Auto | Precision::F32 | Precision::Bf16x3 => {
                PackedF32::for_many_rows(output, input, arithmetic(precision), read).map(Self::F32)
            }
            Precision::Bf16 => PackedBf16::from_rows(output, input, read).map(Self::Bf16),
            Precision::Int8 => PackedInt8::from_rows(output, input, read).map(Self::Int8),
        }
    }

    pub(crate) fn output(&self) -> usize {
        self.kernel().channels()
    }

    pub(crate) fn rows_are_independent(&self) -> bool {
        self.kernel().rows_are_independent()
    }

    fn kernel(&self) -> &dyn Matmul {
        match self {
            Self::F32(packed) => packed,
            Self::Half(packed) => packed,
            Self::Bf16(packed) => packed,
            Self::Int8(packed) => packed,
        }
    }
}

/// The operation: of `x`, or of `x` and a residual of the output's shape.
pub(crate) struct LinearOp {
    pub(crate) weight: Arc<Packed>,
    pub(crate) bias: Option<Arc<[f32]>>,
    pub(crate) activation: Activation,
    /// A factor for each output channel, after the activation.
    pub(crate) scale: Option<Arc<[f32]>>,
}

impl LinearOp {
    fn epilogue(&self) -> Epilogue<'_> {
        Epilogue::NONE.bias(self.bias.as_deref()).activation(self.activation).scale(self.scale.as_deref())
    }

    /// Of a tensor, without a tensor around the result, and in memory that is there.
    pub(crate) fn write_into(&self, x: &Tensor, out: &mut Vec<f32>) -> Result<()> {
        let kernel = self.weight.kernel();
        with_values(x, |x| {
            out.resize(x.len().checked_div(kernel.depth()).unwrap_or(0) * kernel.channels(), 0.0);
            kernel.matmul(x, out, &self.epilogue());
            Ok(())
        })
    }

    fn product(&self, x: &[f32], residual: Residual<'_>) -> Vec<f32> {
        self.weight.kernel().forward(x, &self.epilogue().residual(residual))
    }

    fn run(&self, x: &[f32], layout: &Layout, residual: Residual<'_>) -> (CpuStorage, Shape) {
        let mut shape = layout.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = self.weight.output();
        }
        (CpuStorage::F32(self.product(x, residual)), shape.into())
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

/// Two linear layers in a row, of `x` and a residual of the output's shape.
pub(crate) struct MlpOp {
    pub(crate) up: LinearOp,
    pub(crate) down: LinearOp,
}

impl CustomOp2 for MlpOp {
    fn name(&self) -> &'static str {
        "mlp"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let residual = Residual::Add(whole(residual, residual_layout)?);
        let out = percept_kernels::mlp(
            (self.up.weight.kernel(), &self.up.epilogue()),
            (self.down.weight.kernel(), &self.down.epilogue().residual(residual)),
            whole(x, layout)?,
        );
        Ok((CpuStorage::F32(out), residual_layout.shape().clone()))
    }
}
