//! How a run is done.

use std::num::NonZero;
use std::sync::Arc;

use crate::{Interrupt, Manifest};

/// What a failed item does to the ones after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing: they are done.
    #[default]
    Continue,
    /// They are not begun.
    Stop,
}

/// How a run is done. The default is one item after the other, in batches as the model likes them.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The model's name, for errors.
    pub model: String,
    /// Inputs handed to the model at once; `Model::batch` when absent.
    pub batch: Option<usize>,
    /// Batches that each stage (reading, the model, writing) works on at once.
    pub jobs: NonZero<usize>,
    /// Threads of computation that the jobs share, where there are several; as many as rayon's pool has when absent.
    pub threads: Option<usize>,
    /// What a failed item does to the ones after it.
    pub on_failure: OnFailure,
    /// The flag that ends the run early.
    pub interrupt: Interrupt,
    /// Where the run is recorded, and what it need not do again.
    pub manifest: Option<Arc<Manifest>>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            model: String::new(),
            batch: None,
            jobs: NonZero::<usize>::MIN,
            threads: None,
            on_failure: OnFailure::default(),
            interrupt: Interrupt::new(),
            manifest: None,
        }
    }
}

impl RunOptions {
    /// Reading, the model, writing.
    pub(crate) const STAGES: usize = 3;

    /// The batch that is used with a model that likes `preferred`. At least 1.
    pub(crate) fn batch_size(&self, preferred: usize) -> usize {
        self.batch.unwrap_or(preferred).max(1)
    }

    /// The most items that are decoded but not yet written, for a model whose `Model::batch` is
    /// `preferred`: a batch in each stage of each job.
    pub fn most_in_flight(&self, preferred: usize) -> usize {
        Self::STAGES * self.jobs.get() * self.batch_size(preferred)
    }
}
