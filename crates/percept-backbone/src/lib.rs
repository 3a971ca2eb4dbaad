//! The shared Transformer of percept, on candle: weights from any published layout, attention, MLP,
//! norms, convolution, positions, and the decoding loop (greedy, beam, sampling).
//!
//! Task crates build their models from these parts and nothing else; a second attention anywhere is
//! a bug here. Start with [`Weights`], then [`Attention`] and [`Block`], then [`decode`] or [`vit`].
#![forbid(unsafe_code)]

mod activation;
mod attention;
mod block;
mod conv;
mod cpu;
pub mod decode;
mod device;
mod linear;
mod machine;
pub mod mel;
mod mlp;
mod norm;
pub mod vit;
mod weights;

pub use activation::Activation;
pub use attention::{Attention, AttentionNames, KeyValues, See, scaled_dot_product_attention};
pub use block::{Block, BlockNames, BlockShape, Cross};
pub use candle_core::{D, DType, Device, Error as EngineError, Tensor};
pub use conv::{Conv1d, Conv1dShape};
pub use device::{compute_error, instruction_set, open_device};
pub use linear::{Embedding, Linear};
pub use machine::{InstructionLimit, Machine, Rates};
pub use mlp::Mlp;
pub use norm::LayerNorm;
pub use weights::{Stored, Weights, WeightsError};

/// The result of tensor arithmetic. It is turned into a `percept_core::Error` where the model's
/// name is known, with [`compute_error`].
pub type Result<T, E = candle_core::Error> = std::result::Result<T, E>;
