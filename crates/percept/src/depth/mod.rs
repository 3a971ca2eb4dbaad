//! Image to depth.

mod camera;
mod format;
mod output;

use percept_core::{Depth, Result, Runtime};
use percept_hub::Hub;

pub use camera::{Camera, Focal, FocalSource, known_focal};
pub use format::Format;
pub use output::{Answers, DepthRecord};
pub use percept_core::Tiling;
pub use percept_core::depth::{DepthInput, DepthMap, DepthOptions, DepthUnit, Image};

use crate::load::{Loaded, load as load_model};

/// The task, for [`crate::Envelope::new`] and [`crate::flow::run`].
pub type Task = Depth;

/// Loads a model of depth: a name of the catalogue, `ORG/REPO[@REV]`, a folder, or the default.
///
/// # Errors
/// The model cannot be had, or its architecture is none of this task.
pub fn load(hub: &Hub, name: Option<&str>, runtime: &Runtime) -> Result<Loaded<Depth>> {
    load_model(hub, percept_depth::ARCHS, name, runtime)
}
