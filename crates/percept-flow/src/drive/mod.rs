//! The road of an item: some threads read ahead, some run the model, some write.
//!
//! `source` hands out items, `predict` runs the model, `settle` writes and counts. What is handed out together stays
//! together, so what is computed together does not depend on timing.

mod predict;
mod settle;
mod source;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use percept_core::{Error, Model, Predicted, Result, Task};

use crate::guard::guard;
use crate::manifest::{Content, Look};
use crate::{Item, Observer, OutputTarget, Plan, RunOptions, Stage, Summary};
use settle::{Settler, WriteOrder};
use source::Source;

/// Takes every item of `plan` through `model`.
///
/// `read` turns an item into the model's input and whatever `write` will want to know of it (the
/// file's hash, its length); `write` puts the prediction where the item's outputs say. Of each stage
/// [`RunOptions::jobs`] run at once. The observer hears of ends in the order of the plan. Writing is in
/// that order too where an output goes to stdout.
///
/// The model gets batches of consecutive items, so what is computed together does not depend on
/// timing. Where a batch fails, its items are tried one by one. An error or a panic in `read`, the
/// model or `write` is that item's [`Failure`](crate::Failure); nothing else suffers. `Error::Interrupted` from any of
/// them ends the run like a press of [`RunOptions::interrupt`].
pub fn run<T, M, R, W>(
    model: &dyn Model<T>,
    plan: &Plan,
    read: R,
    write: W,
    options: &RunOptions,
    observer: &dyn Observer,
) -> Summary
where
    T: Task,
    M: Send,
    R: Fn(&Item) -> Result<(T::Input, M)> + Sync,
    W: Fn(&Item, M, Predicted<T::Output>) -> Result<()> + Sync,
{
    let to_stdout = plan.items.iter().any(|item| item.outputs.contains(&OutputTarget::Stdout));
    let order = if to_stdout { WriteOrder::Plan } else { WriteOrder::Any };
    let settler = Settler::new(write, options, observer, order);
    drive(model, plan.items.iter().map(Cow::Borrowed), Some(plan), read, settler)
}

/// Takes items through `model` as they come, and writes the results in the same order, each as soon as it and those
/// before it are there. Ends with `items`. Nothing is recorded: [`RunOptions::manifest`] is for plans.
pub fn serve<T, M, R, W>(
    model: &dyn Model<T>,
    items: impl Iterator<Item = Item> + Send,
    read: R,
    write: W,
    options: &RunOptions,
    observer: &dyn Observer,
) -> Summary
where
    T: Task,
    M: Send,
    R: Fn(&Item) -> Result<(T::Input, M)> + Sync,
    W: Fn(&Item, M, Predicted<T::Output>) -> Result<()> + Sync,
{
    // Whoever waits for an answer before the next question must not wait for a batch to fill.
    let options = RunOptions { batch: Some(1), manifest: None, ..options.clone() };
    let settler = Settler::new(write, &options, observer, WriteOrder::Plan);
    drive(model, items.map(Cow::Owned), None, read, settler)
}

fn drive<'a, T, M, R, W>(
    model: &dyn Model<T>,
    items: impl Iterator<Item = Cow<'a, Item>> + Send,
    plan: Option<&Plan>,
    read: R,
    settler: Settler<'a, '_, W, (M, Predicted<T::Output>)>,
) -> Summary
where
    T: Task,
    M: Send,
    R: Fn(&Item) -> Result<(T::Input, M)> + Sync,
    W: Fn(&Item, M, Predicted<T::Output>) -> Result<()> + Sync,
{
    let began = Instant::now();
    let Settler { options, observer, .. } = settler;
    let batch = options.batch_size(model.batch());
    let most = plan.map_or(usize::MAX, |plan| plan.items.len().div_ceil(batch));
    let jobs = options.jobs.get().min(most).max(1);
    let ending = &Ending { options, stop: AtomicBool::new(false) };
    if let Some(plan) = plan {
        settler.begin(plan, ending);
    }
    let source = &Source::new(items, batch, settler.most_waiting(jobs));
    // Whoever hands on waits until it is taken: what is in memory is what the threads hold.
    let (to_model, from_reader) = bounded(0);
    let (to_writer, from_model) = bounded(0);
    let (read, settler) = (&read, &settler);
    thread::scope(|scope| {
        for lane in 0..jobs {
            let (to_model, from_reader) = (to_model.clone(), from_reader.clone());
            let (to_writer, from_model): (_, Receiver<_>) = (to_writer.clone(), from_model.clone());
            scope.spawn(move || read_all(source, settler, read, to_model, ending, observer));
            scope.spawn(move || {
                let lane = predict::Lane::new(model, options, lane, jobs);
                settler.predicting(lane.predict_all(from_reader, to_writer, ending, observer));
            });
            scope.spawn(move || from_model.iter().for_each(|batch| settler.take(batch, ending)));
        }
        drop((to_model, from_reader, to_writer, from_model));
    });
    let mut summary = settler.summary();
    summary.interrupted = options.interrupt.pressed();
    summary.elapsed = began.elapsed();
    summary
}

/// Whether the run goes on.
struct Ending<'a> {
    options: &'a RunOptions,
    stop: AtomicBool,
}

impl Ending<'_> {
    fn wanted(&self) -> bool {
        self.stop.load(Ordering::SeqCst) || self.options.interrupt.pressed()
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// Items that stay together, by their place in the run. Empty where the run ended before the model saw them.
struct Batch<'a, V> {
    number: usize,
    parcels: Vec<Parcel<'a, V>>,
}

/// An item between two threads, with what became of it so far.
struct Parcel<'a, V> {
    item: Cow<'a, Item>,
    read_time: Duration,
    /// What the input is, where there is a manifest.
    print: Option<Content>,
    /// An item that an earlier run has settled passes by the model; nothing is recorded of it again.
    settled: bool,
    /// `None` for what is done already.
    content: Result<Option<V>>,
}

impl<'a, V> Parcel<'a, V> {
    /// The same item with other content.
    fn with<W>(self, content: impl FnOnce(V) -> Result<W>) -> Parcel<'a, W> {
        let Self { item, read_time, print, settled, content: old } = self;
        let content = old.and_then(|old| old.map(content).transpose());
        Parcel { item, read_time, print, settled, content }
    }
}

fn read_all<'a, I, M, W, O>(
    source: &Source<impl Iterator<Item = Cow<'a, Item>>>,
    settler: &Settler<'a, '_, W, (M, O)>,
    read: impl Fn(&Item) -> Result<(I, M)>,
    to_model: Sender<Batch<'a, (I, M)>>,
    ending: &Ending<'_>,
    observer: &dyn Observer,
) {
    while let Some((number, items)) = source.take(settler.settled(), ending) {
        let read_one = |item: Cow<'a, Item>| {
            observer.stage(&item, Stage::Read);
            let began = Instant::now();
            let look =
                ending.options.manifest.as_ref().map_or(Look::ToDo(None), |manifest| manifest.look(&item));
            let wrong = |cause| Error::input(item.input.path(), cause);
            let (settled, print, content) = match look {
                Look::Kept => (true, None, Ok(None)),
                Look::Failed(why) => (true, None, Err(Error::Earlier { message: why })),
                Look::ToDo(print) => (false, print, guard(|| read(&item), wrong).map(Some)),
            };
            Parcel { item, read_time: began.elapsed(), print, settled, content }
        };
        let parcels = items.into_iter().map(read_one).collect();
        if to_model.send(Batch { number, parcels }).is_err() {
            return;
        }
    }
}
