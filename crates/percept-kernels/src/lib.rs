//! CPU kernels on plain slices: matrix products with packed weights, attention, norms, convolution.
#![allow(unsafe_code)] // the one crate that may; every block says why it is sound
#![warn(clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]

#[cfg(target_arch = "x86_64")]
mod amx;
mod attention;
mod attention_blocks;
mod attention_few;
mod conv;
mod conv_panel;
mod depthwise;
mod elementwise;
mod epilogue;
mod isa;
mod linear_bf16;
mod linear_f32;
mod linear_int8;
mod math;
mod norm;
mod packed;
mod parallel;
mod product;
mod scratch;
mod split;
mod tile;
#[cfg(target_arch = "x86_64")]
mod tile_avx512;

pub use attention::{Attention, Operand, ScoreBias, Strides, Visible};
pub use conv::{ConvShape, PackedConv};
pub use elementwise::{add, multiply};
pub use epilogue::{Epilogue, Residual};
pub use isa::{Isa, available, detected, isa, with_isa};
pub use linear_bf16::PackedBf16;
pub use linear_f32::PackedF32;
pub use linear_int8::PackedInt8;
pub use math::{Activation, exponential};
pub use norm::{layer_norm, rms_norm, softmax};
