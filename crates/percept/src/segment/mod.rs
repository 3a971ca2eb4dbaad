//! Image to mask.

mod format;
mod output;
mod prompts;

pub use percept_core::coco::Rle;
use percept_core::{Model, Result, Runtime, Segment};
use percept_hub::Hub;
pub use percept_segment::format::Standing;
use percept_segment::{Refined, Tiled};

pub use format::Format;
pub use output::{Answers, background};
pub use percept_core::segment::{
    Candidate, Candidates, EverythingOptions, Image, Instance, Label, Mask, MaskPrompt, ObjectPrompt,
    Orientation, PointLabel, PointPrompt, SegmentInput, SegmentOptions, SegmentRequest, Segmentation,
    SegmentationKind, WholeKind,
};
pub use percept_media::draw::Background;
pub use prompts::{mask_prompt, objects};

use crate::load::{Loaded, load as load_model};

/// The task, for [`crate::Envelope::new`] and [`crate::flow::run`].
pub type Task = Segment;

/// What answers points and boxes, and what finds everything without names.
const PROMPTED: &str = "sam2.1-hiera-tiny";
/// What answers texts.
const TEXT: &str = "clipseg-rd64-refined";

/// Large pictures are seen in tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiles {
    /// Pixels along a side of a tile.
    pub size: u32,
    /// Pixels that neighbours share.
    pub overlap: u32,
}

/// Loads a model for masks: a name of the catalogue, `ORG/REPO[@REV]`, a folder, or the default for what is asked.
pub fn load(
    hub: &Hub,
    name: Option<&str>,
    request: &SegmentRequest,
    tiles: Option<Tiles>,
    runtime: &Runtime,
) -> Result<Loaded<Segment>> {
    let loaded = load_model(hub, percept_segment::ARCHS, name.or_else(|| usual(request)), runtime)?;
    let model: Box<dyn Model<Segment>> = match tiles {
        Some(Tiles { size, overlap }) => Box::new(Tiled::new(loaded.model, size, overlap)?),
        None => loaded.model,
    };
    Ok(Loaded { model: Box::new(Refined(model)), ..loaded })
}

/// What answers a request where no model is named; none for the catalogue's default.
pub(crate) fn usual(request: &SegmentRequest) -> Option<&'static str> {
    match request {
        SegmentRequest::Whole(_) => None,
        SegmentRequest::Objects { .. } | SegmentRequest::Everything(_) => Some(PROMPTED),
        SegmentRequest::Text(_) => Some(TEXT),
    }
}
