//! Handing out items, in order and not too far ahead.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Ending;

/// How long a thread that waits for others goes without looking whether the run has ended.
const PATIENCE: Duration = Duration::from_millis(50);

/// How many batches are settled.
#[derive(Default)]
pub(super) struct Settled {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Settled {
    pub(super) fn set(&self, count: usize) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) = count;
        self.changed.notify_all();
    }

    /// Waits until fewer than `most` batches before the one numbered `number` are not settled; whether that came.
    fn wait(&self, number: usize, most: usize, ending: &Ending<'_>) -> bool {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        while number >= *count + most {
            if ending.wanted() {
                return false;
            }
            count = self.changed.wait_timeout(count, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// The items that nobody has taken yet.
pub(super) struct Source<I> {
    rest: Mutex<(I, usize)>,
    batch: usize,
    most_waiting: usize,
}

impl<I: Iterator> Source<I> {
    /// Hands out `batch` items at a time, and none while `most_waiting` batches are not settled.
    pub(super) fn new(items: I, batch: usize, most_waiting: usize) -> Self {
        Self { rest: Mutex::new((items, 0)), batch, most_waiting }
    }

    /// The next batch with its number, from 0; `None` at the end.
    pub(super) fn take(&self, settled: &Settled, ending: &Ending<'_>) -> Option<(usize, Vec<I::Item>)> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let (items, next) = &mut *rest;
        if ending.wanted() || !settled.wait(*next, self.most_waiting, ending) {
            return None;
        }
        let taken: Vec<I::Item> = items.by_ref().take(self.batch).collect();
        let number = *next;
        *next += 1;
        (!taken.is_empty()).then_some((number, taken))
    }
}
