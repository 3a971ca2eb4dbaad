//! Matrix product with a weight, and lookup of its rows.

use std::fmt;
use std::sync::Arc;

use candle_core::{D, Device, Tensor};
use percept_core::Precision;
use percept_kernels::Activation as KernelActivation;

use crate::Result;
use crate::activation::Activation;
use crate::cpu::{LinearOp, Packed};
use crate::weights::{Weights, WeightsError};

/// `x W^T + b`, with what follows it in one pass where the device can.
#[derive(Clone)]
pub struct Linear {
    form: Form,
    output: usize,
}

#[derive(Clone)]
enum Form {
    /// On the processor: packed once.
    Packed { weight: Arc<Packed>, bias: Option<Arc<[f32]>> },
    /// Elsewhere: `[in, out]`, contiguous.
    Dense { transposed: Tensor, bias: Option<Tensor> },
}

impl fmt::Debug for Linear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linear").field("output", &self.output).finish_non_exhaustive()
    }
}

impl Linear {
    /// Loads `weight` `[out, in]` and, where it is there, `bias` `[out]`.
    pub fn load(weights: &Weights, input: usize, output: usize) -> Result<Self, WeightsError> {
        Self::load_stacked(std::slice::from_ref(weights), input, output)
    }

    /// Loads several matrices of one input as one: `x` to their outputs, one behind the other.
    pub fn load_stacked(parts: &[Weights], input: usize, output: usize) -> Result<Self, WeightsError> {
        let stack = |tensors: Vec<Tensor>| match tensors.len() {
            1 => Ok(tensors[0].clone()),
            _ => Tensor::cat(&tensors, 0).map_err(WeightsError::Engine),
        };
        let weight =
            parts.iter().map(|part| part.get("weight", &[output, input])).collect::<Result<_, _>>()?;
        let bias = if parts.iter().any(|part| part.has("bias")) {
            let bias = |part: &Weights| match part.has("bias") {
                true => part.get("bias", &[output]),
                false => part.zeros(&[output]),
            };
            Some(stack(parts.iter().map(bias).collect::<Result<_, _>>()?)?)
        } else {
            None
        };
        let precision = parts.first().map_or(Precision::F32, Weights::precision);
        Self::new(&stack(weight)?, bias, precision).map_err(WeightsError::Engine)
    }

    /// From a weight `[out, in]` and a bias `[out]`. `precision` is that of the product on the
    /// processor.
    pub fn new(weight: &Tensor, bias: Option<Tensor>, precision: Precision) -> Result<Self> {
        let (output, input) = weight.dims2()?;
        let form = match weight.device() {
            Device::Cpu => {
                let values = weight.flatten_all()?.to_vec1::<f32>()?;
                let bias = bias.map(|bias| bias.to_vec1::<f32>()).transpose()?;
                let weight = Arc::new(Packed::new(&values, output, input, precision));
                Form::Packed { weight, bias: bias.map(Into::into) }
            }
            _ => Form::Dense { transposed: weight.t()?.contiguous()?, bias },
        };
        Ok(Self { form, output })
    }

    /// Gets ready for products of many rows. Layers of encoders call it once they are loaded; those
    /// that only ever see a few rows do without, and save the memory.
    pub fn prepare(&self) {
        if let Form::Packed { weight, .. } = &self.form {
            weight.prepare();
        }
    }

    /// `[.., in]` to `[.., out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None, None)
    }

    /// `activation(x W^T + b)`.
    pub fn forward_activated(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        self.run(x, Some(activation), None)
    }

    /// `x W^T + b + residual`, the residual in the shape of the output.
    pub fn forward_onto(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.run(x, None, Some(residual))
    }

    fn run(&self, x: &Tensor, activation: Option<Activation>, residual: Option<&Tensor>) -> Result<Tensor> {
        match &self.form {
            Form::Packed { weight, bias } => {
                let activation = activation.map_or(KernelActivation::None, Activation::kernel);
                let op = LinearOp { weight: weight.clone(), bias: bias.clone(), activation };
                let x = x.contiguous()?;
                match residual {
                    Some(residual) => x.apply_op2_no_bwd(&residual.contiguous()?, &op),
                    None => x.apply_op1_no_bwd(&op),
                }
            }
            Form::Dense { transposed, bias } => {
                let mut shape = x.dims().to_vec();
                let input = transposed.dim(0)?;
                let product = x.reshape((x.elem_count() / input, input))?.matmul(transposed)?;
                let product = match bias {
                    Some(bias) => product.broadcast_add(bias)?,
                    None => product,
                };
                if let Some(last) = shape.last_mut() {
                    *last = self.output;
                }
                let product = product.reshape(shape)?;
                let product = match activation {
                    Some(activation) => activation.forward(&product)?,
                    None => product,
                };
                match residual {
                    Some(residual) => product + residual,
                    None => Ok(product),
                }
            }
        }
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

    /// The device that the table is on.
    pub fn device(&self) -> &Device {
        self.table.device()
    }

    /// The output projection that shares this table: `[.., dim]` to `[.., rows]`.
    pub fn tied_projection(&self, precision: Precision) -> Result<Linear> {
        Linear::new(&self.table, None, precision)
    }
}
