//! The road of an item: a thread reads ahead, the caller's thread predicts, a thread writes in order.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use percept_core::{Error, Model, Predicted, Result, Task};

use crate::manifest::{Content, Look};

use crate::guard::guard;
use crate::{
    Failure, InputSource, Item, Observer, OnFailure, OutputTarget, Plan, RunOptions, Stage, Summary,
};

/// Takes every item of `plan` through `model`.
///
/// `read` turns an item into the model's input and whatever `write` will want to know of it (the
/// file's hash, its length); `write` puts the prediction where the item's outputs say. `read` runs on
/// one thread, `model` on the caller's, `write` on a third; each sees items in the order of the plan.
///
/// The model gets batches of consecutive items, so what is computed together does not depend on
/// timing. Where a batch fails, its items are tried one by one. An error or a panic in `read`, the
/// model or `write` is that item's [`Failure`]; nothing else suffers. `Error::Interrupted` from any of
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
    R: Fn(&Item) -> Result<(T::Input, M)> + Send,
    W: FnMut(&Item, M, Predicted<T::Output>) -> Result<()> + Send,
{
    let began = Instant::now();
    let batch = options.batch_size(model.batch());
    let ending = Ending { options, stop: AtomicBool::new(false) };
    // A reader that is blocked in `send` holds one item itself, hence one less.
    let (to_model, from_reader) = sync_channel(options.read_ahead_size(batch) - 1);
    let (to_writer, from_model) = sync_channel(batch);

    let mut summary = thread::scope(|scope| {
        let ending = &ending;
        scope.spawn(move || read_all(plan, read, to_model, ending, observer));
        let writer = scope.spawn(move || write_all(plan, from_model, write, ending, observer));
        let predict_time = predict_all(model, batch, from_reader, to_writer, ending, observer);
        let mut summary = writer.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload));
        summary.times.predict = predict_time;
        summary
    });
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

/// An item between two threads, with what became of it so far.
struct Parcel<'a, V> {
    item: &'a Item,
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

fn read_all<'a, I, M>(
    plan: &'a Plan,
    read: impl Fn(&Item) -> Result<(I, M)>,
    to_model: SyncSender<Parcel<'a, (I, M)>>,
    ending: &Ending<'_>,
    observer: &dyn Observer,
) {
    for item in &plan.items {
        if ending.wanted() {
            return;
        }
        observer.stage(item, Stage::Read);
        let began = Instant::now();
        let look = ending.options.manifest.as_ref().map_or(Look::ToDo(None), |manifest| manifest.look(item));
        let wrong = |cause| Error::input(item.input.path(), cause);
        let (settled, print, content) = match look {
            Look::Kept => (true, None, Ok(None)),
            Look::Failed(why) => (true, None, Err(Error::Earlier { message: why })),
            Look::ToDo(print) => (false, print, guard(|| read(item), wrong).map(Some)),
        };
        let parcel = Parcel { item, read_time: began.elapsed(), print, settled, content };
        if to_model.send(parcel).is_err() {
            return;
        }
    }
}

/// Returns the time spent in the model.
fn predict_all<'a, T: Task, M>(
    model: &dyn Model<T>,
    batch: usize,
    from_reader: Receiver<Parcel<'a, (T::Input, M)>>,
    to_writer: SyncSender<Parcel<'a, (M, Predicted<T::Output>)>>,
    ending: &Ending<'_>,
    observer: &dyn Observer,
) -> Duration {
    let mut spent = Duration::ZERO;
    loop {
        let parcels: Vec<_> = from_reader.iter().take(batch).collect();
        if parcels.is_empty() || ending.wanted() {
            return spent;
        }
        let mut inputs = Vec::with_capacity(parcels.len());
        let mut waiting = Vec::with_capacity(parcels.len());
        for parcel in parcels {
            let item = parcel.item;
            waiting.push(parcel.with(|(input, meta)| {
                observer.stage(item, Stage::Predict);
                inputs.push(input);
                Ok(meta)
            }));
        }
        let began = Instant::now();
        let mut outputs = predict_batch(model, &inputs, &ending.options.model).into_iter();
        spent += began.elapsed();
        // The media is the bulk of an item: it goes before the results wait for the writer.
        drop(inputs);
        for parcel in waiting {
            let parcel = parcel.with(|meta| {
                let predicted = outputs.next().expect("predict_batch gives one result an input")?;
                Ok((meta, predicted))
            });
            if to_writer.send(parcel).is_err() {
                return spent;
            }
        }
    }
}

/// One result per input, in order: of the whole batch at once, or where that fails of each alone.
fn predict_batch<T: Task>(
    model: &dyn Model<T>,
    inputs: &[T::Input],
    name: &str,
) -> Vec<Result<Predicted<T::Output>>> {
    if inputs.is_empty() {
        return Vec::new();
    }
    match predict_together(model, inputs, name) {
        Ok(outputs) => outputs.into_iter().map(Ok).collect(),
        Err(error) if inputs.len() == 1 => vec![Err(error)],
        Err(_) => inputs
            .chunks(1)
            .map(|input| predict_together(model, input, name).map(|mut outputs| outputs.remove(0)))
            .collect(),
    }
}

/// As many outputs as inputs, or an error.
fn predict_together<T: Task>(
    model: &dyn Model<T>,
    inputs: &[T::Input],
    name: &str,
) -> Result<Vec<Predicted<T::Output>>> {
    let compute = |cause| Error::Compute { model: name.to_owned(), cause };
    let outputs = guard(|| model.predict(inputs), compute)?;
    if outputs.len() == inputs.len() {
        Ok(outputs)
    } else {
        Err(compute(format!("{} outputs for {} inputs", outputs.len(), inputs.len()).into()))
    }
}

fn write_all<M, O>(
    plan: &Plan,
    from_model: Receiver<Parcel<'_, (M, Predicted<O>)>>,
    mut write: impl FnMut(&Item, M, Predicted<O>) -> Result<()>,
    ending: &Ending<'_>,
    observer: &dyn Observer,
) -> Summary {
    let mut summary = Summary { planned: plan.items.len(), ..Summary::default() };
    for (path, cause) in &plan.unreadable {
        let error = Error::input(path, cause.clone());
        fail(&mut summary, Failure { input: InputSource::Path(path.clone()), error }, ending, observer);
    }
    let manifest = ending.options.manifest.as_deref();
    for Parcel { item, read_time, print, settled, content } in from_model {
        summary.times.read += read_time;
        if summary.stdout_closed {
            continue;
        }
        let write = |(meta, mut predicted): (M, Predicted<O>)| {
            if predicted.timings.decode == 0.0 {
                predicted.timings.decode = read_time.as_secs_f64() * 1e3;
            }
            let timings = predicted.timings.clone();
            observer.stage(item, Stage::Write);
            let began = Instant::now();
            let written = guard(|| write(item, meta, predicted), |cause| output_error(item, cause));
            let spent = began.elapsed();
            summary.times.write += spent;
            written.map(|()| (timings, spent))
        };
        let recorded = match content.and_then(|content| content.map(write).transpose()) {
            Ok(None) => {
                summary.kept += 1;
                observer.kept(item);
                Ok(())
            }
            Ok(Some((timings, spent))) => {
                let ms = spent.as_secs_f64() * 1e3;
                let recorded = manifest.map_or(Ok(()), |manifest| manifest.done(item, print, &timings, ms));
                if recorded.is_ok() {
                    summary.done += 1;
                    observer.finished(item, &timings);
                }
                recorded
            }
            Err(error) => {
                let of_item = !settled && !matches!(error, Error::Interrupted);
                let manifest = manifest.filter(|_| of_item);
                let recorded = manifest.map_or(Ok(()), |manifest| manifest.failed(item, print, &error));
                settle_error(item, error, &mut summary, ending, observer);
                recorded
            }
        };
        // Without its manifest a run would lose what it has done.
        if let Err(error) = recorded {
            settle_error(item, error, &mut summary, ending, observer);
            ending.stop();
        }
    }
    summary
}

/// An item's error is a failure, unless it only says that the run is over.
fn settle_error(
    item: &Item,
    error: Error,
    summary: &mut Summary,
    ending: &Ending<'_>,
    observer: &dyn Observer,
) {
    if matches!(error, Error::Interrupted) {
        ending.options.interrupt.press();
    } else if is_broken_pipe(&error) && item.outputs.contains(&OutputTarget::Stdout) {
        summary.stdout_closed = true;
        ending.stop();
    } else {
        fail(summary, Failure { input: item.input.clone(), error }, ending, observer);
    }
}

fn fail(summary: &mut Summary, failure: Failure, ending: &Ending<'_>, observer: &dyn Observer) {
    observer.failed(&failure);
    summary.failed.push(failure);
    if ending.options.on_failure == OnFailure::Stop {
        ending.stop();
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
