//! Writing results, and counting how items ended in the order of the run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use percept_core::{Error, Predicted, Result, Timings};

use super::source::Settled;
use super::{Batch, Ending, Parcel};
use crate::guard::guard;
use crate::{
    Failure, InputSource, Item, ItemTimes, Observer, OnFailure, OutputTarget, Plan, RunOptions, Stage,
    Summary,
};

/// Batches whose files are written but that wait for an earlier one to be counted: only their names are in memory.
const MOST_WRITTEN: usize = 1 << 16;

/// When an item's outputs are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteOrder {
    /// When they are there.
    Any,
    /// When those before them are written.
    Plan,
}

/// An item on its last stretch.
enum Last<'a, V> {
    Unwritten(Parcel<'a, V>),
    Ended(Ended<'a>),
}

/// How an item ended; nothing in it where it was done before.
struct Ended<'a> {
    item: Cow<'a, Item>,
    read: Duration,
    outcome: Result<Option<(Timings, Duration)>>,
    /// What kept it from being recorded.
    unrecorded: Option<Error>,
}

/// The last of the road. `V` is what the model hands over.
pub(super) struct Settler<'a, 'o, W, V> {
    pub(super) options: &'o RunOptions,
    pub(super) observer: &'o dyn Observer,
    write: W,
    order: WriteOrder,
    settled: Settled,
    state: Mutex<State<'a, V>>,
}

struct State<'a, V> {
    summary: Summary,
    /// The number of the batch that comes next.
    next: usize,
    waiting: BTreeMap<usize, Vec<Last<'a, V>>>,
}

impl<'a, 'o, W, M, O> Settler<'a, 'o, W, (M, Predicted<O>)> {
    pub(super) fn new(
        write: W,
        options: &'o RunOptions,
        observer: &'o dyn Observer,
        order: WriteOrder,
    ) -> Self {
        let state = State { summary: Summary::default(), next: 0, waiting: BTreeMap::new() };
        Self { options, observer, write, order, settled: Settled::default(), state: Mutex::new(state) }
    }
}

impl<'a, W, V> Settler<'a, '_, W, V> {
    /// How many batches may be under way with so many lanes.
    pub(super) fn most_waiting(&self, jobs: usize) -> usize {
        match self.order {
            WriteOrder::Any => MOST_WRITTEN,
            WriteOrder::Plan => jobs * RunOptions::STAGES,
        }
    }

    pub(super) fn settled(&self) -> &Settled {
        &self.settled
    }

    /// Adds time that a lane spent in the model.
    pub(super) fn predicting(&self, spent: Duration) {
        self.state().summary.times.predict += spent;
    }

    pub(super) fn summary(&self) -> Summary {
        std::mem::take(&mut self.state().summary)
    }

    fn state(&self) -> MutexGuard<'_, State<'a, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what a plan has lost before it began.
    pub(super) fn begin(&self, plan: &Plan, ending: &Ending<'_>) {
        let summary = &mut self.state().summary;
        summary.planned = plan.items.len() + plan.unreadable.len();
        for (path, cause) in &plan.unreadable {
            let error = Error::input(path, cause.clone());
            let input = InputSource::Path(path.clone());
            self.fail(summary, Failure { index: None, input, error }, ending);
        }
    }

    fn fail(&self, summary: &mut Summary, failure: Failure, ending: &Ending<'_>) {
        self.observer.failed(&failure);
        summary.failed.push(failure);
        if self.options.on_failure == OnFailure::Stop {
            ending.stop();
        }
    }

    /// An item's error is a failure, unless it only says that the run is over.
    fn settle_error(&self, item: &Item, error: Error, summary: &mut Summary, ending: &Ending<'_>) {
        if matches!(error, Error::Interrupted) {
            self.options.interrupt.press();
        } else if is_broken_pipe(&error) && item.outputs.contains(&OutputTarget::Stdout) {
            summary.stdout_closed = true;
            ending.stop();
        } else {
            let (index, input) = (Some(item.index), item.input.clone());
            self.fail(summary, Failure { index, input, error }, ending);
        }
    }

    /// Counts an item in its turn.
    fn count(&self, ended: Ended<'a>, summary: &mut Summary, ending: &Ending<'_>) {
        let Ended { item, read, outcome, unrecorded } = ended;
        summary.times.read += read;
        match outcome {
            Ok(None) => {
                summary.kept += 1;
                self.observer.kept(&item);
            }
            Ok(Some((timings, write))) => {
                summary.times.write += write;
                if unrecorded.is_none() {
                    summary.done += 1;
                    let times = ItemTimes { read, write, timings };
                    if let Err(error) = self.observer.finished(&item, &times) {
                        self.settle_error(&item, error, summary, ending);
                    }
                }
            }
            // What could not even be noted is told of below, once.
            Err(_) if unrecorded.is_some() => {}
            Err(error) => self.settle_error(&item, error, summary, ending),
        }
        // Without its manifest a run would lose what it has done.
        if let Some(error) = unrecorded {
            self.settle_error(&item, error, summary, ending);
            ending.stop();
        }
    }
}

impl<'a, W, M, O> Settler<'a, '_, W, (M, Predicted<O>)>
where
    W: Fn(&Item, M, Predicted<O>) -> Result<()>,
{
    /// Writes a batch, in its turn where that matters, and counts all whose turn has come.
    pub(super) fn take(&self, batch: Batch<'a, (M, Predicted<O>)>, ending: &Ending<'_>) {
        let last = |parcel| match self.order {
            WriteOrder::Any => Last::Ended(self.write(parcel)),
            WriteOrder::Plan => Last::Unwritten(parcel),
        };
        let parcels = batch.parcels.into_iter().map(last).collect();
        let mut state = self.state();
        let State { summary, next, waiting } = &mut *state;
        waiting.insert(batch.number, parcels);
        while let Some(parcels) = waiting.remove(next) {
            for last in parcels {
                match last {
                    Last::Ended(ended) => self.count(ended, summary, ending),
                    Last::Unwritten(_) if summary.stdout_closed => {}
                    Last::Unwritten(parcel) => self.count(self.write(parcel), summary, ending),
                }
            }
            *next += 1;
        }
        self.settled.set(*next);
    }

    /// Writes an item, and then what became of it.
    fn write(&self, parcel: Parcel<'a, (M, Predicted<O>)>) -> Ended<'a> {
        let Parcel { item, read_time: read, print, settled, content } = parcel;
        let write = |(meta, mut predicted): (M, Predicted<O>)| {
            if predicted.timings.decode == 0.0 {
                predicted.timings.decode = read.as_secs_f64() * 1e3;
            }
            let timings = predicted.timings.clone();
            self.observer.stage(&item, Stage::Write);
            let began = Instant::now();
            guard(|| (self.write)(&item, meta, predicted), |cause| output_error(&item, cause))?;
            Ok((timings, began.elapsed()))
        };
        let outcome = content.and_then(|content| content.map(write).transpose());
        let manifest = self.options.manifest.as_deref();
        let recorded = match (&outcome, manifest) {
            (Ok(Some((timings, spent))), Some(manifest)) => {
                manifest.done(&item, print, timings, spent.as_secs_f64() * 1e3)
            }
            (Err(error), Some(manifest)) if !settled && !matches!(error, Error::Interrupted) => {
                manifest.failed(&item, print, error)
            }
            _ => Ok(()),
        };
        Ended { item, read, outcome, unrecorded: recorded.err() }
    }
}

fn output_error(item: &Item, cause: percept_core::Cause) -> Error {
    let path = item
        .outputs
        .first()
        .and_then(OutputTarget::path)
        .map_or_else(|| PathBuf::from("-"), Path::to_path_buf);
    Error::Output { path, cause, hint: None }
}

fn is_broken_pipe(error: &Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe) {
            return true;
        }
        next = cause.source();
    }
    false
}
