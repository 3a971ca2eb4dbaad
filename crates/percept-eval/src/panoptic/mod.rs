//! Panoptic quality (Kirillov et al. 2019): a translation of `pq_compute` of COCO's panopticapi
//! (<https://github.com/cocodataset/panopticapi>), whose numbers these are.
//!
//! A segment of the results is right where it has the class of a segment of the truth and more than half of their union in
//! common. What lies for its greater part where the truth says nothing, or on a crowd of its class, counts neither for nor
//! against.

mod file;
mod quality;
mod segments;

use serde::Serialize;

use crate::Metric;
use crate::metric::as_object;

pub use file::{Folders, score};

/// What segments are worth.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Pictures of the truth.
    pub pictures: usize,
    /// Segments of the truth, crowds included.
    pub truths: usize,
    /// Segments of the results, of classes that the truth has.
    pub results: usize,
    /// `PQ`, `SQ` and `RQ`, then those of things and of stuff: means over the classes that are in truth or results.
    #[serde(serialize_with = "as_object")]
    pub metrics: Vec<Metric>,
    /// Classes of truth or results, in the truth's order.
    pub classes: Vec<ClassReport>,
    /// What should be known of these numbers, a sentence each.
    pub notes: Vec<String>,
}

/// One class of a [`Report`].
#[derive(Clone, Debug, Serialize)]
pub struct ClassReport {
    /// The truth's number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Whether it is counted one by one.
    pub thing: bool,
    /// Segments that were found.
    pub found: u64,
    /// Segments of the truth that were not.
    pub missed: u64,
    /// Segments of the results that are none.
    pub wrong: u64,
    /// Panoptic quality, the product of the other two.
    #[serde(rename = "PQ")]
    pub pq: f64,
    /// Segmentation quality: mean intersection over union of what was found.
    #[serde(rename = "SQ")]
    pub sq: f64,
    /// Recognition quality: F1 of found, missed and wrong.
    #[serde(rename = "RQ")]
    pub rq: f64,
}

#[cfg(test)]
mod golden;
