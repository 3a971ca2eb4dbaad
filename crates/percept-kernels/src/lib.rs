//! CPU kernels on plain slices: matrix products with packed weights, attention, norms, convolution.
//!
//! - Linear layers: [`PackedF32`], [`PackedHalf`], [`PackedBf16`], [`PackedInt8`] hold a weight packed once;
//!   `matmul` takes any number of rows (one row is the decoding case) and an [`Epilogue`] (bias, [`Activation`],
//!   layer scale, residual) that is applied while the product is in cache. [`Matmul`] is what they have in
//!   common; [`mlp`] is two of them in a row.
//! - [`Attention`] without a score matrix, on operands laid out by [`Strides`], for many queries or a few, with
//!   masks and relative positions as a [`ScoreBias`]. Windows are items of a batch.
//! - [`TwoWay`]: pixels look at a few tokens and are looked at by them, in one pass over the pixels.
//! - [`PackedConv`] for convolutions of any kernel, stride, padding, dilation and groups, over one or two
//!   dimensions, with the same epilogue.
//! - [`PackedConvTranspose`] for transposed convolutions, [`BatchNorm`] to fold into either, [`GroupNorm`],
//!   [`Pool`], [`Resize`] and [`GridSample`] with PyTorch's conventions, [`DeformableAttention`].
//! - [`PackedDepthwise`] for depthwise convolutions of tokens; [`strided`] for copies in another order.
//! - [`layer_norm`], [`rms_norm`], [`l2_norm`], [`softmax`], [`Activation::apply`], [`add`], [`multiply`],
//!   [`exponential`]; [`log_sum_exp`], [`largest`], [`index_of_largest`], [`for_each_above`] for the scores of
//!   a vocabulary.
//!
//! **Instruction sets** are chosen at run time ([`isa`]); the environment variable `PERCEPT_ISA` (`portable`,
//! `avx2`, `avx512`, `avx512-vnni`, `amx`) sets an upper limit. Packed weights fit all of them. f32 stays f32
//! on AMX too: numbers are split into three bf16 parts, and the result is at least as close to the exact one
//! as that of fused multiply-adds. [`Arithmetic::Bf16x3`] asks for two parts only, where that is faster. On aarch64 the portable code is compiled to NEON.
//!
//! **Threads**: a kernel divides its work over the rayon pool in which it is called, and does small work (below
//! 2^17 multiply-adds) on the calling thread. Called from outside a pool, work goes to rayon's global one;
//! callers avoid that detour by running whole models inside `ThreadPool::install`. Kernels may be called from
//! several tasks of one pool at once: idle threads help, none waits for another's item.
//!
//! **Memory**: scratch buffers belong to the thread that used them and are kept for its next call, so nothing
//! is allocated once shapes repeat. **Errors**: lengths that do not fit are the caller's mistake and panic.
//!
//! Where to start reading: `linear_f32.rs` (what a packed layer is), `product.rs` (the loops), `tile.rs` (one
//! tile on each instruction set).
#![allow(unsafe_code)] // the one crate that may; every block says why it is sound
#![warn(clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]

#[cfg(target_arch = "x86_64")]
mod amx;
mod attention;
mod attention_blocks;
mod attention_few;
mod attention_form;
mod attention_soften;
mod batch_norm;
mod conv;
mod conv_amx;
mod conv_direct;
mod conv_half;
mod conv_panel;
mod conv_transpose;
mod conv_transpose_product;
mod conv_transpose_shape;
mod deformable;
mod depthwise;
mod depthwise_tokens;
mod elementwise;
mod epilogue;
mod gather;
mod grid_sample;
mod group_norm;
mod isa;
mod likeliest;
mod likeliest_resized;
mod linear_bf16;
mod linear_f32;
mod linear_half;
mod linear_int8;
mod math;
mod matmul;
mod norm;
mod packed;
mod parallel;
mod pool;
mod product;
mod rates;
mod resize;
mod resize_axis;
mod scores;
mod scratch;
mod split;
mod strided;
mod tile;
#[cfg(target_arch = "x86_64")]
mod tile_avx512;
mod two_way;

pub use attention::{Arithmetic, Attention, Operand, ScoreBias, Strides, Visible};
pub use batch_norm::{BatchNorm, scale_channels};
pub use conv::{ConvShape, PackedConv};
pub use conv_transpose::PackedConvTranspose;
pub use conv_transpose_shape::ConvTransposeShape;
pub use deformable::{DeformableAttention, PointSampling};
pub use depthwise_tokens::PackedDepthwise;
pub use elementwise::{add, multiply};
pub use epilogue::{Epilogue, Residual};
pub use grid_sample::{Between, Extent, GridSample, Outside};
pub use group_norm::GroupNorm;
pub use isa::{Isa, available, detected, isa, with_isa};
pub use likeliest::likeliest;
pub use linear_bf16::PackedBf16;
pub use linear_f32::PackedF32;
pub use linear_half::PackedHalf;
pub use linear_int8::PackedInt8;
pub use math::{Activation, exponential};
pub use matmul::{Matmul, mlp};
pub use norm::{l2_norm, layer_norm, layer_normed, rms_norm, softmax};
pub use packed::{ReadRows, rows_in};
pub use pool::{LastWindow, Pool, Pooling};
pub use rates::{Rates, rates};
pub use resize::{Alignment, Filter, Resize};
pub use scores::{for_each_above, index_of_largest, largest, log_sum_exp};
pub use strided::strided;
pub use two_way::{Look, TwoWay};
