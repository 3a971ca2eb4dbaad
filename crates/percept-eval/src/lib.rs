//! How good answers are, against what is true: boxes and keypoints as COCO scores them ([`coco`]), index pictures by
//! intersection over union ([`masks`]), segments by panoptic quality ([`mod@panoptic`]), depth by its errors ([`mod@depth`]), captions by the words
//! that they share with references ([`mod@caption`]), transforms by their errors ([`mod@register`]), transcripts by their word error rate ([`text`]).
//!
//! Numbers are those of the reference implementations on the same files; each module names its own.
#![forbid(unsafe_code)]

mod answers;
pub mod caption;
pub mod coco;
pub mod depth;
mod files;
mod limits;
pub mod masks;
mod metric;
pub mod panoptic;
mod pixels;
pub mod register;
mod tasks;
pub mod text;

pub use limits::{Bound, Limit};
pub use metric::Metric;
pub use panoptic::score as panoptic;
pub use register::score as register;
pub use tasks::{caption, depth, detect, pose, segment, transcribe};
