//! Image to text.

mod format;
mod output;

use percept_core::{Result, Runtime};
use percept_hub::Hub;

pub use format::Format;
pub use output::{CaptionRecord, render};
pub use percept_core::caption::{
    Caption, CaptionInput, CaptionOptions, CaptionRequest, CaptionSearch, CaptionTask, CaptionToken,
    Captions, Image, Rank,
};

use crate::load::{Loaded, load as load_model};

/// The task, for [`crate::Envelope::new`] and [`crate::flow::run`].
pub type Task = percept_core::Caption;

/// What ranks texts.
const RANKING: &str = "coca-vit-l-14-mscoco";
/// What has named tasks.
const TASKS: &str = "florence-2-base";

/// Loads a model of captions: a name of the catalogue, `ORG/REPO[@REV]`, a folder, or the default for what is asked.
///
/// # Errors
/// The model cannot be had, or its architecture is none of this task.
pub fn load(
    hub: &Hub,
    name: Option<&str>,
    request: &CaptionRequest,
    runtime: &Runtime,
) -> Result<Loaded<Task>> {
    let usual = match request {
        CaptionRequest::Caption(_) => None,
        CaptionRequest::Task(_) => Some(TASKS),
        CaptionRequest::Rank(_) => Some(RANKING),
    };
    load_model(hub, percept_caption::ARCHS, name.or(usual), runtime)
}
