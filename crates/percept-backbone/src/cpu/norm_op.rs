//! Layer normalisation in one pass.

use candle_core::{CpuStorage, CustomOp3, Layout, Shape};

use super::whole;
use crate::Result;

/// Of `x`, weight and bias.
pub(crate) struct LayerNormOp {
    pub(crate) eps: f32,
}

impl CustomOp3 for LayerNormOp {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight, bias) = (whole(x, layout)?, whole(weight, weight_layout)?, whole(bias, bias_layout)?);
        let out = percept_kernels::layer_normed(x, weight, bias, self.eps);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}
