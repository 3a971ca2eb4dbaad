//! Image to boxes.

mod format;
mod output;

use percept_backbone::checkpoint::ClassFilter;
use percept_core::{Detect, Model, Result, Runtime};
use percept_detect::{Chosen, Tiled};
use percept_hub::Hub;

pub use format::Format;
pub use output::Answers;
pub(crate) use output::{overlay, overlay_tracked};
pub use percept_core::Tiling;
pub use percept_core::detect::{
    DetectInput, DetectOptions, Detection, Detections, Image, Label, Nms, NmsScope,
};
pub use percept_detect::format::DetectRecord;
pub use percept_detect::{Merge, View};

use crate::load::{Loaded, load as load_model};

/// The task, for [`crate::Envelope::new`] and [`crate::flow::run`].
pub type Task = Detect;

/// What answers texts.
const TEXT: &str = "grounding-dino-tiny";

/// How large pictures are looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Looks {
    /// The ways in which each picture is looked at.
    pub views: Vec<View>,
    /// How what was seen twice becomes one.
    pub merge: Merge,
}

/// Loads a detector: a name of the catalogue, `ORG/REPO[@REV]`, a folder, or the default for what is asked.
///
/// # Errors
/// The model cannot be had, or its architecture is none of this task.
pub fn load(
    hub: &Hub,
    name: Option<&str>,
    options: &DetectOptions,
    looks: Option<Looks>,
    runtime: &Runtime,
) -> Result<Loaded<Detect>> {
    let usual = (!options.texts.is_empty()).then_some(TEXT);
    let loaded = load_model(hub, percept_detect::ARCHS, name.or(usual), runtime)?;
    if options.texts.is_empty() {
        // A class that the model does not have is no reason to begin.
        ClassFilter::new(&options.classes, loaded.model.labels())?;
    }
    let model: Box<dyn Model<Detect>> = match looks {
        Some(Looks { views, merge }) => Box::new(Tiled::new(loaded.model, views, merge)),
        None => loaded.model,
    };
    Ok(Loaded { model: Box::new(Chosen(model)), ..loaded })
}
