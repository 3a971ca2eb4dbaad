//! Matrix product with a weight, and lookup of its rows.

use candle_core::{D, Tensor};

use crate::Result;
use crate::weights::{Weights, WeightsError};

/// `x W^T + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[in, out]`, contiguous: the product reads it in order.
    transposed: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Loads `weight` `[out, in]` and, where it is there, `bias` `[out]`.
    pub fn load(weights: &Weights, input: usize, output: usize) -> Result<Self, WeightsError> {
        let bias = if weights.has("bias") { Some(weights.get("bias", &[output])?) } else { None };
        Self::new(&weights.get("weight", &[output, input])?, bias).map_err(WeightsError::Engine)
    }

    /// From a weight `[out, in]` and a bias `[out]`.
    pub fn new(weight: &Tensor, bias: Option<Tensor>) -> Result<Self> {
        Ok(Self { transposed: weight.t()?.contiguous()?, bias })
    }

    /// `[.., in]` to `[.., out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (input, output) = self.transposed.dims2()?;
        let mut shape = x.dims().to_vec();
        let rows = x.elem_count() / input;
        let product = x.reshape((rows, input))?.matmul(&self.transposed)?;
        let product = match &self.bias {
            Some(bias) => product.broadcast_add(bias)?,
            None => product,
        };
        if let Some(last) = shape.last_mut() {
            *last = output;
        }
        product.reshape(shape)
    }
}

/// A table of vectors, looked up by index; also the output projection where the two are tied.
#[derive(Clone, Debug)]
pub struct Embedding {
    table: Tensor,
}

impl Embedding {
    /// Loads `weight` `[rows, dim]`.
    pub fn load(weights: &Weights, rows: usize, dim: usize) -> Result<Self, WeightsError> {
        Ok(Self { table: weights.get("weight", &[rows, dim])? })
    }

    /// The vectors at `indices` (u32, any shape): `[.., dim]`.
    pub fn forward(&self, indices: &Tensor) -> Result<Tensor> {
        let mut shape = indices.dims().to_vec();
        shape.push(self.table.dim(D::Minus1)?);
        self.table.index_select(&indices.flatten_all()?, 0)?.reshape(shape)
    }

    /// The vectors `start..start + len`, as for learned positions: `[len, dim]`.
    pub fn rows(&self, start: usize, len: usize) -> Result<Tensor> {
        self.table.narrow(0, start, len)
    }

    /// The output projection that shares this table: `[.., dim]` to `[.., rows]`.
    pub fn tied_projection(&self) -> Result<Linear> {
        Linear::new(&self.table, None)
    }
}
