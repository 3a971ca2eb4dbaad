//! Copies of views: what `Tensor::contiguous` does, on all threads.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor};

use crate::Result;

/// Elements from which on candle's copy, one element after the other on one thread, is too slow.
const LARGE: usize = 1 << 12;

/// Copies of views such as transposed tensors.
pub trait ToContiguous {
    /// The tensor with its elements in the order of its dimensions; itself if they are so already.
    fn to_contiguous(&self) -> Result<Tensor>;
}

impl ToContiguous for Tensor {
    fn to_contiguous(&self) -> Result<Tensor> {
        let large = self.elem_count() >= LARGE && self.dtype() == DType::F32 && self.device().is_cpu();
        if self.is_contiguous() || !large {
            return self.contiguous();
        }
        self.apply_op1_no_bwd(&Copy)
    }
}

struct Copy;

impl CustomOp1 for Copy {
    fn name(&self) -> &'static str {
        "contiguous"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let values = &x.as_slice::<f32>()?[layout.start_offset()..];
        let copied = percept_kernels::strided(values, layout.dims(), layout.stride());
        Ok((CpuStorage::F32(copied), layout.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn views_become_what_candle_makes_of_them() {
        let all = Tensor::arange(0.0_f32, 40_000.0, &Device::Cpu).unwrap().reshape((4, 50, 20, 10)).unwrap();
        let views = [
            all.permute([0, 3, 1, 2]).unwrap(),
            all.narrow(1, 3, 40).unwrap(),
            all.narrow(0, 1, 2).unwrap().narrow(3, 2, 7).unwrap().transpose(1, 2).unwrap(),
            all.narrow(0, 1, 1).unwrap().broadcast_as((7, 50, 20, 10)).unwrap(),
            all.clone(),
        ];
        for view in views {
            let (ours, theirs) = (view.to_contiguous().unwrap(), view.contiguous().unwrap());
            assert!(ours.is_contiguous());
            let numbers = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(numbers(&ours), numbers(&theirs), "{:?}", view.layout());
        }
    }
}
