//! Who wants to know how a run goes.

use std::time::Duration;

use percept_core::{Result, Timings};

use crate::{Failure, Item};

/// What is being done with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Reading and decoding. The first that happens to an item.
    Read,
    /// The model runs.
    Predict,
    /// The outputs are written.
    Write,
}

/// Where the time of an item went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemTimes {
    /// Reading and decoding.
    pub read: Duration,
    /// Writing.
    pub write: Duration,
    /// What the model tells.
    pub timings: Timings,
}

/// Listens to a run: a progress bar, a log, a manifest.
///
/// [`Observer::stage`] is called from many threads. [`Observer::finished`], [`Observer::kept`] and
/// [`Observer::failed`] come one after the other, in the order of the plan. `()` listens to nothing.
pub trait Observer: Sync {
    /// An item enters a stage.
    fn stage(&self, _item: &Item, _stage: Stage) {}

    /// An item is done: its outputs are written. An error is as one of writing.
    fn finished(&self, _item: &Item, _times: &ItemTimes) -> Result<()> {
        Ok(())
    }

    /// An item is done already, by an earlier run.
    fn kept(&self, _item: &Item) {}

    /// An item is given up. The others go on.
    fn failed(&self, _failure: &Failure) {}
}

impl Observer for () {}
