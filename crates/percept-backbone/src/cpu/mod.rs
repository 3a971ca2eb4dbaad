//! The kernels of `percept-kernels` as candle operations. On another device than the processor the
//! same layers run on candle's own operations.

mod attention_op;
mod kernel_op;
mod linear_op;
mod norm_op;

use candle_core::{CpuStorage, Device, Layout, Storage, Tensor};

use percept_core::Precision;
use percept_kernels::Arithmetic;

use crate::{Result, ToContiguous};

pub(crate) use attention_op::{AttentionBias, AttentionOp};
pub(crate) use kernel_op::run_kernel;
pub(crate) use linear_op::{LinearOp, MlpOp, Packed};
pub(crate) use norm_op::LayerNormOp;

/// What does a layer's arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// `percept-kernels`, on the processor.
    Kernels,
    /// candle's own operations, on any device.
    Candle,
}

impl Engine {
    /// The one for tensors on a device.
    pub(crate) fn of(device: &Device) -> Self {
        match device {
            Device::Cpu => Self::Kernels,
            _ => Self::Candle,
        }
    }
}

/// How exact the products of a model are that are not those of packed int8 or bf16 weights.
pub(crate) fn arithmetic(precision: Precision) -> Arithmetic {
    match precision {
        Precision::Auto | Precision::F32 => Arithmetic::F32,
        Precision::Bf16x3 => Arithmetic::Bf16x3,
        Precision::Bf16 | Precision::Int8 => Arithmetic::Bf16,
    }
}

/// The elements of a contiguous operand.
fn whole<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let values = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("a contiguous operand is wanted, not {:?}", layout.stride()),
    }
}

/// Lends the elements of a tensor on the processor, row by row.
pub(crate) fn with_values<R>(x: &Tensor, work: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let x = x.to_contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => work(whole(storage, layout)?),
        _ => candle_core::bail!("a tensor on the processor is wanted"),
    }
}
