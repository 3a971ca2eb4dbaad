//! How a run is done.

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

/// How a run is done. The default leaves the sizes to the model.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The model's name, for errors.
    pub model: String,
    /// Inputs handed to the model at once; `Model::batch` when absent.
    pub batch: Option<usize>,
    /// Decoded items that may wait for the model; as many as a batch when absent.
    pub read_ahead: Option<usize>,
    /// What a failed item does to the ones after it.
    pub on_failure: OnFailure,
    /// The flag that ends the run early.
    pub interrupt: Interrupt,
    /// Where the run is recorded, and what it need not do again.
    pub manifest: Option<Arc<Manifest>>,
}

impl RunOptions {
    /// The batch that is used with a model that likes `preferred`. At least 1.
    pub(crate) fn batch_size(&self, preferred: usize) -> usize {
        self.batch.unwrap_or(preferred).max(1)
    }

    /// The read-ahead that is used beside batches of `batch`. At least 1.
    pub(crate) fn read_ahead_size(&self, batch: usize) -> usize {
        self.read_ahead.unwrap_or(batch).max(1)
    }

    /// The most items that are decoded but not yet written, for a model whose `Model::batch` is
    /// `preferred`: those read ahead, a batch in the model, a batch waiting to be written, one being
    /// written.
    pub fn most_in_flight(&self, preferred: usize) -> usize {
        let batch = self.batch_size(preferred);
        self.read_ahead_size(batch) + 2 * batch + 1
    }
}
