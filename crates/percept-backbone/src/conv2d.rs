//! Convolutions of feature maps `[batch, channels, height, width]`, with batch normalisation folded in.
//!
//! On the processor weights are packed once and bias, activation and residual are applied in the same pass.
//! Elsewhere candle's convolutions run; they take one stride and one dilation for both directions, and others
//! are an error there.

use std::fmt;
use std::sync::Arc;

use candle_core::{Device, Shape, Tensor};
use percept_core::Precision;
use percept_kernels::{
    Activation as KernelActivation, Arithmetic, ConvShape, ConvTransposeShape, Epilogue, PackedConv,
    PackedConvTranspose, Residual, scale_channels,
};

use crate::Result;
use crate::activation::Activation;
use crate::batch_norm::BatchNorm;
use crate::cpu::{Engine, arithmetic, run_kernel};
use crate::weights::{Weights, WeightsError};

/// A convolution, ordinary or transposed, of feature maps: f32, and below that precision an ordinary one has
/// products of 16 significant bits (`Arithmetic::Bf16x3`) where that is faster.
#[derive(Clone)]
pub struct Conv2d {
    shape: AnyShape,
    form: Form,
    /// A factor and a summand behind the activation.
    affine: Option<(f32, f32)>,
}

/// Which of the two it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AnyShape {
    Conv(ConvShape),
    Transposed(ConvTransposeShape),
}

#[derive(Clone)]
enum Form {
    /// On the processor: packed once.
    Packed { weight: Arc<Packed>, bias: Option<Arc<[f32]>> },
    /// Elsewhere: as PyTorch stores it, the bias as `[1, out, 1, 1]`.
    Dense { weight: Tensor, bias: Option<Tensor> },
}

enum Packed {
    Conv(PackedConv),
    Transposed(PackedConvTranspose),
}

impl fmt::Debug for Conv2d {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conv2d").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl AnyShape {
    fn channels(&self) -> usize {
        match self {
            Self::Conv(shape) => shape.out_channels,
            Self::Transposed(shape) => shape.out_channels,
        }
    }

    /// Refuses what no convolution can be, before a kernel panics at it.
    fn check(&self) -> Result<()> {
        let (pairs, channels, groups) = match self {
            Self::Conv(s) => ([s.kernel, s.stride, s.dilation], [s.in_channels, s.out_channels], s.groups),
            Self::Transposed(s) => {
                ([s.kernel, s.stride, s.dilation], [s.in_channels, s.out_channels], s.groups)
            }
        };
        let divides = groups > 0 && channels.iter().all(|count| count.is_multiple_of(groups));
        if !divides || pairs.as_flattened().contains(&0) {
            candle_core::bail!("conv2d: {self:?} is no convolution");
        }
        Ok(())
    }

    /// Of the weight, as PyTorch stores it.
    fn weight(&self) -> [usize; 4] {
        match self {
            Self::Conv(s) => [s.out_channels, s.in_channels / s.groups, s.kernel[0], s.kernel[1]],
            Self::Transposed(s) => [s.in_channels, s.out_channels / s.groups, s.kernel[0], s.kernel[1]],
        }
    }
}

impl Conv2d {
    /// Loads `torch.nn.Conv2d`: `weight` `[out, in / groups, height, width]` and, where it is there, `bias`
    /// `[out]`.
    pub fn load(weights: &Weights, shape: ConvShape) -> Result<Self, WeightsError> {
        Self::read(weights, AnyShape::Conv(shape), None, Engine::of(weights.device()))
    }

    /// From a weight as [`Conv2d::load`] reads it and a bias `[out]`.
    pub fn from_weight(
        weight: &Tensor,
        bias: Option<&Tensor>,
        shape: ConvShape,
        precision: Precision,
    ) -> Result<Self> {
        let shape = AnyShape::Conv(shape);
        shape.check()?;
        if weight.dims() != shape.weight() {
            candle_core::bail!("conv2d: the weight is {:?}, {shape:?}", weight.dims());
        }
        Self::new(weight, bias, (shape, arithmetic(precision)), None, Engine::of(weight.device()))
    }

    /// From a weight as [`Conv2d::load_transposed`] reads it and a bias `[out]`.
    pub fn from_transposed_weight(
        weight: &Tensor,
        bias: Option<&Tensor>,
        shape: ConvTransposeShape,
        precision: Precision,
    ) -> Result<Self> {
        let shape = AnyShape::Transposed(shape);
        shape.check()?;
        if weight.dims() != shape.weight() {
            candle_core::bail!("conv2d: the weight is {:?}, {shape:?}", weight.dims());
        }
        Self::new(weight, bias, (shape, arithmetic(precision)), None, Engine::of(weight.device()))
    }

    /// Loads `torch.nn.Conv2d` and folds the normalisation after it into its weights.
    pub fn load_folded(weights: &Weights, shape: ConvShape, norm: &BatchNorm) -> Result<Self, WeightsError> {
        Self::read(weights, AnyShape::Conv(shape), Some(norm), Engine::of(weights.device()))
    }

    /// Loads two convolutions of one input, each with the normalisation after it, as the one that is their sum: one as
    /// `shape` says, whose kernel is odd and whose padding keeps the size, and one of 1 x 1 (RepVGG, Ding et al. 2021,
    /// arXiv 2101.03697).
    pub fn load_summed(
        (weights, norm): (&Weights, &BatchNorm),
        (pixel, pixel_norm): (&Weights, &BatchNorm),
        shape: ConvShape,
    ) -> Result<Self, WeightsError> {
        let any = AnyShape::Conv(shape);
        any.check().map_err(WeightsError::Engine)?;
        let ConvShape { out_channels, in_channels, kernel: [height, width], groups, .. } = shape;
        if [norm, pixel_norm].iter().any(|norm| norm.channels() != out_channels) || height * width % 2 == 0 {
            return Err(WeightsError::Format(format!("{shape:?} cannot be summed with one of 1 x 1")));
        }
        let read = |weights: &Weights, shape: &[usize]| {
            let weight = weights.get("weight", shape)?;
            weight.flatten_all().and_then(|weight| weight.to_vec1::<f32>()).map_err(WeightsError::Engine)
        };
        let mut weight = read(weights, &any.weight())?;
        let mut of_pixel = read(pixel, &[out_channels, in_channels / groups, 1, 1])?;
        let bias = norm.kernel().fold(&mut weight, None);
        let pixel_bias = pixel_norm.kernel().fold(&mut of_pixel, None);
        let centre = height / 2 * width + width / 2;
        for (kernel, value) in weight.chunks_exact_mut(height * width).zip(of_pixel) {
            kernel[centre] += value;
        }
        let bias: Vec<f32> = bias.iter().zip(pixel_bias).map(|(one, other)| one + other).collect();
        let device = weights.device();
        Tensor::from_vec(weight, &any.weight(), device)
            .and_then(|weight| {
                let bias = Tensor::from_vec(bias, out_channels, device)?;
                Self::from_weight(&weight, Some(&bias), shape, weights.precision())
            })
            .map_err(WeightsError::Engine)
    }

    /// Loads `torch.nn.ConvTranspose2d`: `weight` `[in, out / groups, height, width]` and, where it is there,
    /// `bias` `[out]`.
    pub fn load_transposed(weights: &Weights, shape: ConvTransposeShape) -> Result<Self, WeightsError> {
        Self::read(weights, AnyShape::Transposed(shape), None, Engine::of(weights.device()))
    }

    /// Loads `torch.nn.ConvTranspose2d` and folds the normalisation after it into its weights.
    pub fn load_transposed_folded(
        weights: &Weights,
        shape: ConvTransposeShape,
        norm: &BatchNorm,
    ) -> Result<Self, WeightsError> {
        Self::read(weights, AnyShape::Transposed(shape), Some(norm), Engine::of(weights.device()))
    }

    pub(crate) fn read(
        weights: &Weights,
        shape: AnyShape,
        norm: Option<&BatchNorm>,
        engine: Engine,
    ) -> Result<Self, WeightsError> {
        shape.check().map_err(WeightsError::Engine)?;
        let weight = weights.get("weight", &shape.weight())?;
        let bias = match weights.has("bias") {
            true => Some(weights.get("bias", &[shape.channels()])?),
            false => None,
        };
        let arithmetic = arithmetic(weights.precision());
        Self::new(&weight, bias.as_ref(), (shape, arithmetic), norm, engine).map_err(WeightsError::Engine)
    }

    fn new(
        weight: &Tensor,
        bias: Option<&Tensor>,
        (shape, arithmetic): (AnyShape, Arithmetic),
        norm: Option<&BatchNorm>,
        engine: Engine,
    ) -> Result<Self> {
        let mut values = weight.flatten_all()?.to_vec1::<f32>()?;
        let mut bias = bias.map(|bias| bias.to_vec1::<f32>()).transpose()?;
        if let Some(norm) = norm {
            if norm.channels() != shape.channels() {
                candle_core::bail!("{} channels are normalised, {shape:?}", norm.channels());
            }
            bias = Some(match shape {
                AnyShape::Conv(_) => norm.kernel().fold(&mut values, bias.as_deref()),
                AnyShape::Transposed(s) => {
                    norm.kernel().fold_transposed(&mut values, bias.as_deref(), (s.in_channels, s.groups))
                }
            });
        }
        match engine {
            Engine::Kernels => Ok(Self::packed(&values, bias, shape, arithmetic)),
            Engine::Candle => Self::dense(values, bias, shape, weight.device()),
        }
    }

    fn packed(weight: &[f32], bias: Option<Vec<f32>>, shape: AnyShape, arithmetic: Arithmetic) -> Self {
        let weight = match shape {
            AnyShape::Conv(shape) => {
                let mut conv = PackedConv::new(weight, shape);
                conv.set_arithmetic(arithmetic);
                Packed::Conv(conv)
            }
            AnyShape::Transposed(shape) => Packed::Transposed(PackedConvTranspose::new(weight, shape)),
        };
        Self {
            shape,
            form: Form::Packed { weight: Arc::new(weight), bias: bias.map(Into::into) },
            affine: None,
        }
    }

    fn dense(weight: Vec<f32>, bias: Option<Vec<f32>>, shape: AnyShape, device: &Device) -> Result<Self> {
        let weight = Tensor::from_vec(weight, &shape.weight(), device)?;
        let channels = shape.channels();
        let bias = bias.map(|bias| Tensor::from_vec(bias, (1, channels, 1, 1), device)).transpose()?;
        Ok(Self { shape, form: Form::Dense { weight, bias }, affine: None })
    }

    /// The same with all of the output, behind its activation and before a residual, multiplied by `scale`, and `shift`
    /// added (the learnable affine block of HGNetV2).
    pub fn followed_by(self, scale: f32, shift: f32) -> Self {
        Self { affine: Some((scale, shift)), ..self }
    }

    /// `[batch, in, height, width]` to `[batch, out, ...]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None, None, None)
    }

    /// The same through an activation.
    pub fn forward_activated(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        self.run(x, Some(activation), None, None)
    }

    /// The same plus a residual in the shape of the output. An activation comes before the addition.
    pub fn forward_onto(
        &self,
        x: &Tensor,
        activation: Option<Activation>,
        residual: &Tensor,
    ) -> Result<Tensor> {
        self.run(x, activation, Some(residual), None)
    }

    /// The same plus a residual in the shape of the output, and an activation of the sum: the end of a layer of a ResNet.
    pub fn forward_joined(&self, x: &Tensor, residual: &Tensor, activation: Activation) -> Result<Tensor> {
        self.run(x, None, Some(residual), Some(activation))
    }

    /// `of_sum` is applied where there is a residual.
    fn run(
        &self,
        x: &Tensor,
        activation: Option<Activation>,
        residual: Option<&Tensor>,
        of_sum: Option<Activation>,
    ) -> Result<Tensor> {
        if let (Some(_), Some(residual)) = (self.affine, residual) {
            let y = (self.run(x, activation, None, None)? + residual)?;
            return of_sum.map_or(Ok(y.clone()), |of_sum| of_sum.forward(&y));
        }
        match &self.form {
            Form::Packed { weight, bias } => {
                let activation = activation.map_or(KernelActivation::None, Activation::kernel);
                let epilogue = Epilogue::NONE.bias(bias.as_deref()).activation(activation);
                match residual {
                    None => run_kernel("conv2d", [x], |operands| {
                        let (mut out, shape) = weight.apply(operands[0].0, operands[0].1, &epilogue, None)?;
                        if let Some((scale, shift)) = self.affine {
                            let channels = self.shape.channels();
                            let pixels = shape.dims()[2..].iter().product();
                            let [scale, shift] = [scale, shift].map(|number| vec![number; channels]);
                            scale_channels(&mut out, pixels, &scale, &shift, KernelActivation::None);
                        }
                        Ok((out, shape))
                    }),
                    Some(residual) => run_kernel("conv2d-residual", [x, residual], |operands| {
                        let epilogue = epilogue.residual(Residual::Add(operands[1].0));
                        let (mut out, shape) =
                            weight.apply(operands[0].0, operands[0].1, &epilogue, Some(operands[1].1))?;
                        if let Some(of_sum) = of_sum {
                            of_sum.kernel().apply(&mut out);
                        }
                        Ok((out, shape))
                    }),
                }
            }
            Form::Dense { weight, bias } => {
                let y = match &self.shape {
                    AnyShape::Conv(shape) => convolve(x, weight, shape)?,
                    AnyShape::Transposed(shape) => convolve_transposed(x, weight, shape)?,
                };
                let y = bias.as_ref().map_or(Ok(y.clone()), |bias| y.broadcast_add(bias))?;
                let y = activation.map_or(Ok(y.clone()), |activation| activation.forward(&y))?;
                let y = match self.affine {
                    Some((scale, shift)) => y.affine(f64::from(scale), f64::from(shift))?,
                    None => y,
                };
                let y = residual.map_or(Ok(y.clone()), |residual| y + residual)?;
                of_sum.map_or(Ok(y.clone()), |of_sum| of_sum.forward(&y))
            }
        }
    }
}

impl Packed {
    fn apply(
        &self,
        x: &[f32],
        dims: &[usize],
        epilogue: &Epilogue<'_>,
        residual: Option<&[usize]>,
    ) -> Result<(Vec<f32>, Shape)> {
        let &[batch, channels, height, width] = dims else {
            candle_core::bail!("conv2d: [batch, channels, height, width] is wanted, not {dims:?}");
        };
        let size = [height, width];
        let (ins, outs, [rows, columns]) = match self {
            Self::Conv(conv) => {
                (conv.shape().in_channels, conv.shape().out_channels, conv.shape().output(size))
            }
            Self::Transposed(conv) => {
                (conv.shape().in_channels, conv.shape().out_channels, conv.shape().output(size))
            }
        };
        if channels != ins || rows * columns == 0 {
            candle_core::bail!("conv2d: {dims:?} does not fit a layer of {ins} channels or its kernel");
        }
        let made = [batch, outs, rows, columns];
        if residual.is_some_and(|dims| dims != made) {
            candle_core::bail!("conv2d: the residual is {residual:?}, the output {made:?}");
        }
        let mut out = vec![0.0; made.iter().product()];
        match self {
            Self::Conv(conv) => conv.apply(x, batch, size, &mut out, epilogue),
            Self::Transposed(conv) => conv.apply(x, batch, size, &mut out, epilogue),
        }
        Ok((out, made.to_vec().into()))
    }
}

/// The one number that candle takes for both directions.
fn both(pair: [usize; 2], what: &str) -> Result<usize> {
    match pair {
        [a, b] if a == b => Ok(a),
        _ => candle_core::bail!("conv2d: {what} {pair:?} of two numbers is supported on the processor only"),
    }
}

/// The bare convolution by candle.
#[expect(clippy::disallowed_methods, reason = "this is percept_backbone's convolution")]
fn convolve(x: &Tensor, weight: &Tensor, shape: &ConvShape) -> Result<Tensor> {
    let (stride, dilation) = (both(shape.stride, "a stride")?, both(shape.dilation, "a dilation")?);
    let [rows, columns] = shape.padding;
    let x = x.pad_with_zeros(2, rows, rows)?.pad_with_zeros(3, columns, columns)?;
    x.conv2d(weight, 0, stride, dilation, shape.groups)
}

/// The bare transposed convolution by candle, which knows no groups.
fn convolve_transposed(x: &Tensor, weight: &Tensor, shape: &ConvTransposeShape) -> Result<Tensor> {
    let (stride, dilation) = (both(shape.stride, "a stride")?, both(shape.dilation, "a dilation")?);
    let (padding, more) =
        (both(shape.padding, "a padding")?, both(shape.output_padding, "an output padding")?);
    let groups = x.chunk(shape.groups, 1)?.into_iter().zip(weight.chunk(shape.groups, 0)?);
    let parts = groups.map(|(x, weight)| {
        x.contiguous()?.conv_transpose2d(&weight.contiguous()?, padding, more, stride, dilation)
    });
    Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 1)
}
