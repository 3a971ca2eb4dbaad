//! The vocabulary of percept: what a task is, what a model is, what goes in and what comes out.
//!
//! Every other crate knows this one and this one knows none of them. Start with [`Task`] and
//! [`Model`]; the inputs and outputs of a task stand in the module that bears its name.
#![forbid(unsafe_code)]

pub mod caption;
pub mod cloud;
pub mod coco;
pub mod depth;
pub mod detect;
mod error;
mod image;
mod mask;
mod model;
pub mod pose;
pub mod register;
mod runtime;
pub mod segment;
mod spec;
mod task;
mod tiling;
pub mod transcribe;
mod transform;
pub mod write;

pub use error::{Cause, Error, Result};
pub use model::{Arch, Load, Model, Predicted, RawTensor, RawValues, Timings};
pub use runtime::{Device, Precision, Runtime};
pub use spec::{LocalModel, ModelSpec, PackageSource, Source, SourceKind};
pub use task::{Caption, Depth, Detect, Pose, Prediction, Register, Segment, Task, Transcribe};
pub use tiling::{Span, Tiling};
