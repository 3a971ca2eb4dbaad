//! Image to depth: what goes in and what comes out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::image::{Image, Orientation};

/// One picture and what is asked of it.
#[derive(Clone, Debug)]
pub struct DepthInput {
    /// The picture.
    pub image: Arc<Image>,
    /// What is asked.
    pub options: Arc<DepthOptions>,
}

/// What is known of the camera.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DepthOptions {
    /// The focal length in pixels of the displayed picture, for models whose metres depend on it (Depth Pro); their own
    /// estimate when absent. Others do not look at it.
    pub focal: Option<f32>,
}

/// What the numbers of a depth map are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DepthUnit {
    /// Metres from the camera's plane (along the optical axis).
    Metres,
    /// Inverse depth up to an unknown scale and shift: larger is nearer.
    RelativeInverse,
}

impl DepthUnit {
    /// Whether larger numbers are nearer.
    pub fn larger_is_nearer(self) -> bool {
        self == Self::RelativeInverse
    }
}

/// A number for each pixel of the displayed picture.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthMap {
    /// Columns of the displayed picture.
    pub width: u32,
    /// Rows of the displayed picture.
    pub height: u32,
    /// Row by row, `width * height`, finite.
    pub values: Vec<f32>,
    /// What they are.
    pub unit: DepthUnit,
    /// The focal length that the model estimates, in pixels of the displayed picture, where it does.
    pub focal: Option<f32>,
}

/// The factor and the summand that take `from` nearest to `to`, by least squares: what aligns relative depth with other
/// depth (Ranftl et al. 2022, arXiv 1907.01341). None where `from` is the same everywhere.
pub fn scale_and_shift(from: &[f64], to: &[f64]) -> Option<(f64, f64)> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let (from_mean, to_mean) = (mean(from), mean(to));
    let pairs = || from.iter().zip(to).map(|(from, to)| (from - from_mean, to - to_mean));
    let squares: f64 = pairs().map(|(from, _)| from * from).sum();
    let products: f64 = pairs().map(|(from, to)| from * to).sum();
    let scale = products / squares;
    // What is constant but for rounding has no scale.
    let flat = squares <= 1e-12 * from_mean * from_mean * from.len() as f64;
    (squares > 0.0 && !flat).then_some((scale, to_mean - scale * from_mean))
}
