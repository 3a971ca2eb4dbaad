//! Matrix product with a weight, and lookup of its rows.

use std::fmt;
use std::sync::Arc;

use candle_core::{D, Device, Tensor};
use percept_core::Precision;
use percept_kernels::Activation as KernelActivation;

use crate::activation::Activation;
use crate::cpu::{LinearOp, MlpOp, Packed};
use crate::weights::{Stack, Table, Weights, WeightsError};
use crate::{Result, ToContiguous};

/// `x W^T + b`, with what follows it in one pass where the device can.
#[derive(Clone)]
pub struct Linear {
    form: Form,
    output: usize,
}

#[derive(Clone)]
enum Form {
    Packed(PackedLayer),
    Dense(DenseLayer),
}

/// On the processor: packed once.
#[derive(Clone)]
struct PackedLayer {
    weight: Arc<Packed>,
    bias: Option<Arc<[f32]>>,
    scale: Option<Arc<[f32]>>,
}

/// Elsewhere.
#[derive(Clone)]
struct DenseLayer {
    /// `[in, out]`, contiguous.
    transposed: Tensor,
    bias: Option<Tensor>,
    scale: Option<Tensor>,
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
        if parts.iter().all(|part| part.device().is_cpu()) {
            let few_rows = parts.iter().any(Weights::serves_few_rows);
            let packed = Packed::load(&Stack::of(parts, output, input)?, precision, few_rows)?;
            return Self::packed(packed, bias).map_err(WeightsError::Engine);
        }
        let weight =
            parts.iter().map(|part| part.get("weight", &[output, input])).collect::<Result<_, _>>()?;
        Self::new(&stack(weight)?, bias, precision).map_err(WeightsError::Engine)
    }

    /// Loads `torch.nn.Conv2d(input, output, kernel_size=1)` as the matrix that it is: `[.., input]` to `[.., output]`,
    /// pixel by pixel.
    pub fn load_pointwise(weights: &Weights, input: usize, output: usize) -> Result<Self, WeightsError> {
        let weight = weights.get("weight", &[output, input, 1, 1])?;
        let bias = weights.has("bias").then(|| weights.get("bias", &[output])).transpose()?;
        weight
            .reshape((output, input))
            .and_then(|weight| Self::new(&weight, bias, weights.precision()))
            .map_err(WeightsError::Engine)
    }

    /// Loads `torch.nn.ConvTranspose2d(input, output, kernel_size=2, stride=2)`, which makes four pixels of one, as the
    /// matrix that it is: `[.., input]` to `[.., 4 * output]`, pixel by pixel, row by row.
    pub fn load_doubling(weights: &Weights, input: usize, output: usize) -> Result<Self, WeightsError> {
        let weight = weights.get("weight", &[input, output, 2, 2])?;
        let bias = weights.get("bias", &[output])?;
        weight
            .permute([2, 3, 1, 0])
            .and_then(|weight| weight.to_contiguous()?.reshape((4 * output, input)))
            .and_then(|weight| Self::new(&weight, Some(Tensor::cat(&[&bias; 4], 0)?), weights.precision()))
            .map_err(WeightsError::Engine)
    }

    fn packed(weight: Packed, bias: Option<Tensor>) -> Result<Self> {
        let bias = bias.map(|bias| bias.to_vec1::<f32>()).transpose()?;
        let output = weight.output();
        let layer = PackedLayer { weight: Arc::new(weight), bias: bias.map(Into::into), scale: None };
        Ok(Self { form: Form::Packed(layer), output })
    }

    /// From a weight `[out, in]` and a bias `[out]`. `precision` is that of the product on the
    /// processor.
    pub fn new(weight: &Tensor, bias: Option<Tensor>, precision: Precision) -> Result<Self> {
        let (output, input) = weight.dims2()?;
        if weight.device().is_cpu() {
            let values = weight.flatten_all()?.to_vec1::<f32>()?;
            return Self::packed(Packed::new(&values, output, input, precision), bias);
        }
        let layer = DenseLayer { transposed: weight.t()?.to_contiguous()?, bias, scale: None };
        Ok(Self { form: Form::Dense(layer), output })
    }

    /// The same with a bias `[out]`, for an output projection that shares its matrix but has a bias of its own.
    pub fn with_bias(self, bias: &Tensor) -> Result<Self> {
        let form = match self.form {
            Form::Packed(layer) => {
                Form::Packed(PackedLayer { bias: Some(bias.to_vec1::<f32>()?.into()), ..layer })
            }
            Form::Dense(layer) => Form::Dense(DenseLayer { bias: Some(bias.clone()), ..layer }),
        };
        Ok(Self { form, ..self })
    }

    /// The same with every output channel multiplied by its factor `[out]`, before a residual is added
    /// (layer scale).
    pub fn scaled_by(self, factors: &Tensor) -> Result<Self> {
        let form = match self.form {
            Form::Packed(layer) => {
                Form::Packed(PackedLayer { scale: Some(factors.to_vec1::<f32>()?.into()), ..layer })
            }
            Form::Dense(layer) => Form::Dense(DenseLayer { scale: Some(factors.clone()), ..layer }),
        };
        Ok(Self { form, ..self })
    }

    /// `[.., in]` to `[.., out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None, None)
    }

    /// `activation(x W^T + b)`.
    pub fn forward_activated(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        self.run(x, Some(activation), None)
    }

    /// `down(activation(self(x))) + residual`: the MLP of a Transformer, in one operation where the
    /// device can.
    pub(crate) fn mlp_onto(
        &self,
        activation: Activation,
        down: &Self,
        x: &Tensor,
        residual: &Tensor,
    ) -> Result<Tensor> {
        match (&self.form, &down.form) {
            (Form::Packed(up), Form::Packed(down)) => {
                let op = MlpOp { up: up.op(Some(activation)), down: down.op(None) };
                x.to_contiguous()?.apply_op2_no_bwd(&residual.to_contiguous()?, &op)
            }
            _ => down.forward_onto(&self.forward_activated(x, activation)?, residual),
        }
    }

    /// `x W^T + b + residual`, the residual in the shape of the output.
    pub fn forward_onto(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.run(x, None, Some(residual))
    }

    /// `activation(x W^T + b) + residual`, the residual in the shape of the output.
    pub fn forward_activated_onto(
        &self,
        x: &Tensor,
        activation: Activation,
        residual: &Tensor,
    ) -> Result<Tensor> {
        self.run(x, Some(activation), Some(residual))
    }

    /// Whether a row's outputs have the same bits whatever rows are multiplied with it. Never said of other devices than
    /// the processor.
    pub fn rows_are_independent(&self) -> bool {
        match &self.form {
            Form::Packed(layer) => layer.weight.rows_are_independent(),
            Form::Dense(_) => false,
        }
    }

    /// [`Linear::forward`] to plain numbers, row by row, in a buffer that takes their length: who fills it again and again
    /// pays for its memory once.
    pub fn forward_into(&self, x: &Tensor, out: &mut Vec<f32>) -> Result<()> {
        match &self.form {
            Form::Packed(layer) => layer.op(None).write_into(x, out),
            Form::Dense(_) => {
                *out = self.forward(x)?.flatten_all()?.to_vec1()?;
                Ok(())
            }
        }
    }

    fn run(&self, x: &Tensor, activation: Option<Activation>, residual: Option<&Tensor>) -> Result<Tensor> {
        match &self.form {
            Form::Packed(layer) => {
                let (x, op) = (x.to_contiguous()?, layer.op(activation));
                match residual {
                    Some(residual) => x.apply_op2_no_bwd(&residual.to_contiguous()?, &op),
                    None => x.apply_op1_no_bwd(&op),
                }
            }
            Form::Dense(layer) => {
                let mut shape = x.dims().to_vec();
                if let Some(last) = shape.last_mut() {
                    *last = self.output;
                }
                let product = layer.product(x, activation)?.reshape(shape)?;
                match residual {
                    Some(residual) => product + residual,
                    None => Ok(product),
                }
            }
        }
    }
}

impl PackedLayer {
    fn op(&self, activation: Option<Activation>) -> LinearOp {
        let Self { weight, bias, scale } = self.clone();
        let activation = activation.map_or(KernelActivation::None, Activation::kernel);
        LinearOp { weight, bias, activation, scale }
    }
}

impl DenseLayer {
    /// `scale * activation(x W^T + b)` of all rows, `[rows, out]`.
    fn product(&self, x: &Tensor, activation: Option<Activation>) -> Result<Tensor> {
        let input = self.transposed.dim(0)?;
        let mut product = x.reshape((x.elem_count() / input, input))?.matmul(&self.transposed)?;
        if let Some(bias) = &self.bias {
            product = product.broadcast_add(bias)?;
        }
        if let Some(activation) = activation {
            product = activation.forward(&product)?;
        }
        if let Some(scale) = &self.scale {
            product = product.broadcast_mul(scale)?;
        }
        Ok(product)
    }
}

/// `left right^T` of two tensors that were both computed, `[batch, few, dim]` and `[batch, many, dim]`, to `[batch, few,
/// many]`. On the processor it runs in `precision`, and with [`Precision::Int8`] in bf16.
pub fn products(left: &Tensor, right: &Tensor, precision: Precision) -> Result<Tensor> {
    if !left.device().is_cpu() {
        return left.matmul(&right.t()?);
    }
    let precision = if precision == Precision::Int8 { Precision::Bf16 } else { precision };
    let items = (0..left.dim(0)?).map(|item| {
        let made = Linear::new(&left.get(item)?, None, precision)?.forward(&right.get(item)?)?;
        made.t()?.to_contiguous()
    });
    Tensor::stack(&items.collect::<Result<Vec<_>>>()?, 0)
}

/// A table of vectors, looked up by index; also the output projection where the two are tied.
#[derive(Clone, Debug)]
pub struct Embedding {
    form: Vectors,
    device: Device,
}

#[derive(Clone, Debug)]
enum Vectors {
    Tensor(Tensor),
    /// Left where it is stored: a vocabulary is large, and a step of decoding looks up a row of it.
    Stored(Table),
}

impl Embedding {
    /// Loads `weight` `[rows, dim]`.
    pub fn load(weights: &Weights, rows: usize, dim: usize) -> Result<Self, WeightsError> {
        let form = Vectors::Tensor(weights.get("weight", &[rows, dim])?);
        Ok(Self { form, device: weights.device().clone() })
    }

    /// From a table `[rows, dim]`, such as learned positions that are no module of their own.
    pub fn new(table: Tensor) -> Self {
        let device = table.device().clone();
        Self { form: Vectors::Tensor(table), device }
    }

    /// Loads `weight` `[rows, dim]` of a vocabulary of which few are looked up at a time. On the processor it stays
    /// where it is stored.
    pub fn load_stored(weights: &Weights, rows: usize, dim: usize) -> Result<Self, WeightsError> {
        if !weights.device().is_cpu() {
            return Self::load(weights, rows, dim);
        }
        let form = Vectors::Stored(weights.table("weight", rows, dim)?);
        Ok(Self { form, device: Device::Cpu })
    }

    /// Loads `weight` `[rows, dim]` of a vocabulary, and the output projection `[.., dim]` to
    /// `[.., rows]` that shares it. On the processor the table is not in memory a second time.
    pub fn load_tied(weights: &Weights, rows: usize, dim: usize) -> Result<(Self, Linear), WeightsError> {
        let precision = weights.precision();
        if !weights.device().is_cpu() {
            let table = weights.get("weight", &[rows, dim])?;
            let head = Linear::new(&table, None, precision).map_err(WeightsError::Engine)?;
            return Ok((Self { form: Vectors::Tensor(table), device: weights.device().clone() }, head));
        }
        let table = weights.table("weight", rows, dim)?;
        let packed = Packed::load(&Stack::of_table(&table), precision, weights.serves_few_rows())?;
        let head = Linear::packed(packed, None).map_err(WeightsError::Engine)?;
        Ok((Self { form: Vectors::Stored(table), device: Device::Cpu }, head))
    }

    /// The vectors at `indices` (u32, any shape): `[.., dim]`.
    pub fn forward(&self, indices: &Tensor) -> Result<Tensor> {
        let mut shape = indices.dims().to_vec();
        let rows = match &self.form {
            Vectors::Tensor(table) => table.index_select(&indices.flatten_all()?, 0)?,
            Vectors::Stored(table) => {
                table.look_up(&indices.flatten_all()?.to_vec1::<u32>()?).map_err(candle_core::Error::wrap)?
            }
        };
        shape.push(rows.dim(D::Minus1)?);
        rows.reshape(shape)
    }

    /// The vectors `start..start + len`, as for learned positions: `[len, dim]`.
    pub fn rows(&self, start: usize, len: usize) -> Result<Tensor> {
        match &self.form {
            Vectors::Tensor(table) => table.narrow(0, start, len),
            Vectors::Stored(_) => {
                let indices = (start..start + len).map(|row| row as u32).collect::<Vec<_>>();
                self.forward(&Tensor::from_vec(indices, len, &self.device)?)
            }
        }
    }

    /// The device that the vectors are given on.
    pub fn device(&self) -> &Device {
        &self.device
    }
}
