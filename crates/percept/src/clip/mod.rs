//! Clips: what is found in their frames, one after the other, and what stays the same thing.
//!
//! A [`Watch`] looks at frames that follow one another; where they come from is not its business
//! (`percept_media::video`, with the cargo feature `video`).

mod detect;
mod format;
mod line;
mod pose;

use std::sync::Arc;

use percept_core::detect::Image;
use percept_core::{Precision, Result, Task, Timings};
use percept_detect::track::TrackOptions;
use serde::Serialize;

pub use detect::DetectWatch;
pub use format::Format;
pub use line::{FrameLine, HeadLine};
pub use pose::PoseWatch;

/// Somebody who looks at the frames of a clip, in their order.
pub trait Watch {
    /// What is looked for.
    type Task: Task;
    /// What made the results, for their JSON.
    type Card: Serialize;

    /// What made the results.
    fn card(&self) -> &Self::Card;

    /// The precision that really runs.
    fn precision(&self) -> Precision;

    /// How many frames are worth handing over at once.
    fn batch(&self) -> usize;

    /// What comes is another clip.
    fn begin(&mut self);

    /// One answer a frame.
    ///
    /// # Errors
    /// The model failed.
    fn see(&mut self, frames: &[Arc<Image>]) -> Result<Vec<SeenBy<Self>>>;

    /// The `result` of a frame's JSON.
    fn record(&self, seen: &SeenBy<Self>) -> impl Serialize;

    /// A frame with what was found in it.
    fn draw(&self, frame: &Image, seen: &SeenBy<Self>) -> Image;
}

/// What a [`Watch`] says of a frame.
pub type SeenBy<W> = Seen<<<W as Watch>::Task as Task>::Output>;

/// What was found in a frame.
#[derive(Clone, Debug)]
pub struct Seen<O> {
    /// All of it.
    pub output: O,
    /// The number of the track of each detection or pose, from 1, where it is in one.
    pub tracks: Vec<Option<u32>>,
    /// Where the time went.
    pub timings: Timings,
}

/// How a detector is asked whose boxes become tracks: for the unsure ones too. `score` is that of the sure ones.
fn track_options(score: Option<f32>) -> TrackOptions {
    score.map_or_else(TrackOptions::default, TrackOptions::new)
}
