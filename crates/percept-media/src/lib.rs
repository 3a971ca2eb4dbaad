//! Reads and writes media: sound of any common container and codec to 16 kHz mono, and raw tensors
//! to safetensors.
//!
//! Start with [`sound::read`]. With the cargo feature `video`, FFmpeg decodes what the built-in
//! decoders do not know.
#![forbid(unsafe_code)]

mod magic;
pub mod picture;
pub mod raw;
pub mod sound;
mod source;

pub use source::Source;
