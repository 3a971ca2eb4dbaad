//! Element-wise non-linearities, each under a name that says which one it is.

use candle_core::{Device, Tensor};
use percept_kernels::Activation as KernelActivation;

use crate::Result;
use crate::cpu::run_kernel;

/// A non-linearity. The word `gelu` alone is two functions in this field; here it is never alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x * Phi(x)` with the error function.
    GeluErf,
    /// The tanh approximation of the former.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * sigmoid(1.702 x)`, OpenAI CLIP's.
    QuickGelu,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
}

impl Activation {
    /// From the name in a Hugging Face `config.json` (`transformers/activations.py`).
    pub fn from_config(name: &str) -> Option<Self> {
        match name {
            "gelu" | "gelu_python" => Some(Self::GeluErf),
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" | "gelu_accurate" => Some(Self::GeluTanh),
            "relu" => Some(Self::Relu),
            "silu" | "swish" => Some(Self::Silu),
            "quick_gelu" => Some(Self::QuickGelu),
            "sigmoid" => Some(Self::Sigmoid),
            _ => None,
        }
    }

    /// The kernel's name of it.
    pub(crate) fn kernel(self) -> KernelActivation {
        match self {
            Self::GeluErf => KernelActivation::GeluErf,
            Self::GeluTanh => KernelActivation::GeluTanh,
            Self::Relu => KernelActivation::Relu,
            Self::Silu => KernelActivation::Silu,
            Self::QuickGelu => KernelActivation::QuickGelu,
            Self::Sigmoid => KernelActivation::Sigmoid,
        }
    }

    /// Applies it to every element.
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        if let Device::Cpu = x.device() {
            return run_kernel("activation", [x], |operands| {
                let mut values = operands[0].0.to_vec();
                self.kernel().apply(&mut values);
                Ok((values, operands[0].1.into()))
            });
        }
        match self {
            Self::GeluErf => x.gelu_erf(),
            #[expect(clippy::disallowed_methods, reason = "here the tanh approximation is what is meant")]
            Self::GeluTanh => x.gelu(),
            Self::Relu => x.relu(),
            Self::Silu => x.silu(),
            Self::QuickGelu => x * candle_nn::ops::sigmoid(&(x * 1.702)?)?,
            Self::Sigmoid => candle_nn::ops::sigmoid(x),
        }
    }
}
