//! Image to depth.

mod camera;
mod format;
mod output;

use percept_core::{Depth, Model, Result, Runtime};
use percept_depth::Tiled;
use percept_hub::Hub;

pub use camera::{Camera, Focal, FocalSource, known_focal};
pub use format::Format;
pub use output::{Answers, DepthRecord};
pub use percept_core::Tiling;
pub use percept_core::depth::{DepthInput, DepthMap, DepthOptions, DepthUnit, Image};

use crate::load::{Loaded, load as load_model};

/// The task, for [`crate::Envelope::new`] and [`crate::flow::run`].
pub type Task = Depth;

/// Loads a model of depth: a name of the catalogue, `ORG/REPO[@REV]`, a folder, or the default. With a tiling it sees large
/// pictures in tiles too, each fitted to its answer for the whole.
///
/// # Errors
/// The model cannot be had, or its architecture is none of this task.
pub fn load(
    hub: &Hub,
    name: Option<&str>,
    tiling: Option<Tiling>,
    runtime: &Runtime,
) -> Result<Loaded<Depth>> {
    let loaded = load_model(hub, percept_depth::ARCHS, name, runtime)?;
    let model: Box<dyn Model<Depth>> = match tiling {
        Some(tiling) => Box::new(Tiled::new(loaded.model, tiling)),
        None => loaded.model,
    };
    Ok(Loaded { model, ..loaded })
}
