//! Reads and writes media: sound of any common container and codec to 16 kHz mono, pictures of the common
//! formats to upright 8-bit sRGB and back, point clouds, drawings over pictures, and raw tensors to safetensors.
//!
//! Start with [`sound::read`], [`picture::read`] or [`cloud::read`]. With the cargo feature `video`, FFmpeg decodes what the
//! built-in decoders do not know, and reads and writes clips ([`video`]).
#![forbid(unsafe_code)]

pub mod cloud;
pub mod depth;
pub mod draw;
mod magic;
mod npy;
pub mod picture;
pub mod raw;
pub mod sound;
mod source;
mod srgb;
pub mod video;

pub use source::Source;
