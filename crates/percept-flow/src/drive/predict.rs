//! Running the model.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use percept_core::{Error, Model, Predicted, Result, Task};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{Batch, Ending};
use crate::guard::guard;
use crate::{Observer, RunOptions, Stage};

/// One of the threads that run the model, with its share of the machine.
pub(super) struct Lane<'m, T: Task> {
    model: &'m dyn Model<T>,
    name: &'m str,
    /// None where there is one lane: it has the pool of the process.
    pool: Option<ThreadPool>,
}

impl<'m, T: Task> Lane<'m, T> {
    /// Lane `index` of `lanes`.
    pub(super) fn new(model: &'m dyn Model<T>, options: &'m RunOptions, index: usize, lanes: usize) -> Self {
        let all = options.threads.unwrap_or_else(rayon::current_num_threads);
        let share = (all / lanes + usize::from(index < all % lanes)).max(1);
        let pool = || ThreadPoolBuilder::new().num_threads(share).build().ok();
        Self { model, name: &options.model, pool: if lanes > 1 { pool() } else { None } }
    }

    /// Returns the time spent in the model.
    pub(super) fn predict_all<'a, M: Send>(
        &self,
        from_reader: Receiver<Batch<'a, (T::Input, M)>>,
        to_writer: Sender<Batch<'a, (M, Predicted<T::Output>)>>,
        ending: &Ending<'_>,
        observer: &dyn Observer,
    ) -> Duration {
        let mut spent = Duration::ZERO;
        for Batch { number, parcels } in from_reader {
            // What was only read when the run ends is left, but its place is not: others wait behind it.
            let parcels = if ending.wanted() { vec![] } else { parcels };
            let mut inputs = Vec::with_capacity(parcels.len());
            let mut waiting = Vec::with_capacity(parcels.len());
            for parcel in parcels {
                if let Ok(Some(_)) = parcel.content {
                    observer.stage(&parcel.item, Stage::Predict);
                }
                waiting.push(parcel.with(|(input, meta)| {
                    inputs.push(input);
                    Ok(meta)
                }));
            }
            let began = Instant::now();
            let mut outputs = self.predict_batch(&inputs).into_iter();
            spent += began.elapsed();
            // The media is the bulk of an item: it goes before the results wait for the writer.
            drop(inputs);
            let mut answered = |meta| {
                let predicted = outputs.next().expect("predict_batch gives one result an input")?;
                Ok((meta, predicted))
            };
            let parcels = waiting.into_iter().map(|parcel| parcel.with(&mut answered)).collect();
            if to_writer.send(Batch { number, parcels }).is_err() {
                return spent;
            }
        }
        spent
    }

    /// One result per input, in order: of the whole batch at once, or where that fails of each alone.
    fn predict_batch(&self, inputs: &[T::Input]) -> Vec<Result<Predicted<T::Output>>> {
        if inputs.is_empty() {
            return Vec::new();
        }
        match self.predict_together(inputs) {
            Ok(outputs) => outputs.into_iter().map(Ok).collect(),
            Err(error) if inputs.len() == 1 => vec![Err(error)],
            Err(_) => inputs
                .chunks(1)
                .map(|input| self.predict_together(input).map(|mut outputs| outputs.remove(0)))
                .collect(),
        }
    }

    /// As many outputs as inputs, or an error.
    fn predict_together(&self, inputs: &[T::Input]) -> Result<Vec<Predicted<T::Output>>> {
        let compute = |cause| Error::Compute { model: self.name.to_owned(), cause };
        let predict = || guard(|| self.model.predict(inputs), compute);
        let outputs = match &self.pool {
            Some(pool) => pool.install(predict),
            None => predict(),
        }?;
        if outputs.len() == inputs.len() {
            Ok(outputs)
        } else {
            Err(compute(format!("{} outputs for {} inputs", outputs.len(), inputs.len()).into()))
        }
    }
}
