//! The one driver: plan, read ahead, predict in batches, write in order.
//!
//! One file, a folder and a stream on stdin all take this road. [`Plan::new`] turns what was typed into
//! a list of items with settled output names, or refuses before anything runs. [`run`] takes the plan
//! through a model: [`RunOptions::jobs`] threads read ahead, as many run the model, as many write, and
//! at most [`RunOptions::most_in_flight`] items are in memory. A broken item costs itself only. [`serve`] does the same
//! with items that come one by one.
//!
//! A [`Manifest`] has a line for every item that ended; with it a run goes on where another one was killed.
//!
//! This crate knows tasks through `percept_core::Task` alone: it never decodes media, never names an
//! architecture and never prints.
#![forbid(unsafe_code)]

mod drive;
mod guard;
mod interrupt;
mod manifest;
mod observe;
mod options;
mod plan;
mod summary;

pub use drive::{run, serve};
pub use interrupt::Interrupt;
pub use manifest::{
    Content, Identity, InputRecord, MANIFEST_NAME, Manifest, Merged, Milliseconds, ModelRecord, OutputRecord,
    Partial, PathRecord, Record, Resume, Status, merge,
};
pub use observe::{ItemTimes, Observer, Stage};
pub use options::{OnFailure, RunOptions};
pub use plan::{
    Existing, FilesFrom, Format, FormatKind, InputSource, Item, ListSource, Naming, OutputTarget, Plan,
    PlanRequest, Separator, Shard,
};
pub use summary::{ExitCode, Failure, StageTimes, Summary};
