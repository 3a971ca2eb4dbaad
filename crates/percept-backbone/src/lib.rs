//! The shared Transformer of percept, on candle: weights from any published layout, attention, MLP,
//! norms, convolution, positions, and the decoding loop (greedy, beam, sampling).
//!
//! Task crates build their models from these parts and nothing else; a second attention anywhere is
//! a bug here. Start with [`Weights`], then [`Attention`] and [`Block`], then [`decode`] or [`vit`].
#![forbid(unsafe_code)]

mod activation;
mod attention;
mod batch_norm;
pub mod bert;
pub mod bit;
mod block;
pub mod checkpoint;
pub mod clip_text;
mod contiguous;
mod conv;
mod conv2d;
mod cpu;
pub mod decode;
mod decode_attention;
mod deformable;
mod depthwise;
mod device;
mod elementwise;
#[cfg(test)]
mod feature_maps_golden;
mod grid_sample;
pub mod hgnet;
pub mod hiera;
pub mod image_processor;
mod key_values;
mod linear;
mod machine;
pub mod mel;
pub mod mit;
mod mlp;
mod multi_scale;
mod nms;
mod norm;
mod pool;
mod relative;
mod resample;
pub mod resnet;
mod sine;
mod sourced_attention;
mod stages;
pub mod swin;
mod two_way;
pub mod vit;
mod weights;
mod window;

pub use activation::Activation;
pub use attention::{Attention, AttentionNames, CrossAttention, See, scaled_dot_product_attention};
pub use batch_norm::BatchNorm;
pub use block::{Block, BlockNames, BlockShape, Cross};
pub use candle_core::{D, DType, Device, Error as EngineError, Tensor};
pub use contiguous::ToContiguous;
pub use conv::{Conv1d, Conv1dShape};
pub use conv2d::Conv2d;
pub use decode_attention::Decode;
pub use deformable::{FeaturePoints, deformable_attention};
pub use depthwise::Depthwise;
pub use device::{
    both, compute_error, fastest_precision, for_layers, instruction_set, on_compute_threads, open_device,
};
pub use elementwise::{add_to_each, sigmoid};
pub use grid_sample::{GridSampling, grid_sample};
pub use key_values::KeyValues;
pub use linear::{Embedding, Linear, products};
pub use machine::{InstructionLimit, Machine, Rates};
pub use mlp::{Experts, Mlp};
pub use multi_scale::{MultiScaleAttention, MultiScaleShape, Offsets};
pub use nms::{box_iou, nms, nms_by_class};
pub use norm::{GroupNorm, LayerNorm, l2_normalize};
pub use percept_kernels::{
    Alignment, Between, ConvShape, ConvTransposeShape, Extent, Filter, LastWindow, Outside, PointSampling,
    Pool, Pooling,
};
pub use pool::{max_pool_tokens, pool};
pub use relative::RelativePositions;
pub use resample::{likeliest_resized, resize, resize_by, resize_in_bands, resize_matrix};
pub use sine::{sine_positions, sine_waves};
pub use sourced_attention::{SourcedAttention, projections_apart};
pub use two_way::{FewTokens, Looked, Seen, both_ways, two_way};
pub use weights::{Stored, Weights, WeightsError};
pub use window::{window_partition, window_unpartition};

/// The result of tensor arithmetic. It is turned into a `percept_core::Error` where the model's
/// name is known, with [`compute_error`].
pub type Result<T, E = candle_core::Error> = std::result::Result<T, E>;
