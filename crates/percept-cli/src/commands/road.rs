//! The road from a command's arguments through the driver, the same for every task.

use std::fmt::Debug;
use std::num::NonZero;

use percept::flow::{self, ExitCode, Item, Manifest, OnFailure, Plan, RunOptions};
use percept::media::raw;
use percept::{Loaded, Predicted, Result, Runtime, Task};

use super::{manifest, setup, worker};
use crate::args::{AutoOr, Files};
use crate::report::BatchReport;

/// What a command does with an item before its model and behind it.
pub(crate) trait Work<T: Task>: Sync {
    /// What is known of an item besides the model's input.
    type Meta: Send;

    /// Reads an item, of a run with this manifest.
    fn read(&self, item: &Item, manifest: Option<&Manifest>) -> Result<(T::Input, Self::Meta)>;

    /// Writes its outputs.
    fn write(&self, item: &Item, meta: &Self::Meta, predicted: &Predicted<T::Output>) -> Result<()>;

    /// Its JSON envelope in one line.
    fn envelope(&self, item: &Item, meta: &Self::Meta, predicted: &Predicted<T::Output>) -> Result<String>;
}

/// What every run needs.
pub(crate) struct Road<'a, T: Task> {
    pub(crate) files: &'a Files,
    pub(crate) loaded: &'a Loaded<T>,
    pub(crate) runtime: &'a Runtime,
    pub(crate) report: &'a BatchReport,
}

impl<T: Task> Road<'_, T> {
    /// Takes a plan through. `parameters` are all that outputs depend on besides inputs, model and program.
    pub(crate) fn run(&self, plan: &Plan, parameters: &dyn Debug, work: &impl Work<T>) -> Result<ExitCode> {
        let Self { files, loaded, report, .. } = *self;
        let parameters = (parameters, loaded.model.precision(), files.no_timings);
        let manifest = setup::manifest::<T>(files, plan, &loaded.local, &parameters)?;
        let options = RunOptions { manifest, ..self.options()? };
        let read = |item: &Item| {
            let (input, meta) = work.read(item, options.manifest.as_deref())?;
            if let Some(path) = &files.raw {
                raw::write(path, &loaded.model.raw(&input)?)?;
            }
            Ok((input, meta))
        };
        let write = |item: &Item, meta, predicted: Predicted<T::Output>| work.write(item, &meta, &predicted);
        let summary = flow::run::<T, _, _, _>(&*loaded.model, plan, read, write, &options, report);
        report.finish(&summary);
        setup::conclude(options, plan)?;
        manifest::make_report(files, plan, &summary)?;
        Ok(setup::exit_code(&summary))
    }

    /// Answers requests on standard input.
    pub(crate) fn serve(&self, work: &impl Work<T>) -> Result<ExitCode> {
        worker::serve(&*self.loaded.model, &self.options()?, work)
    }

    /// How it is done; listens for Ctrl-C from now on.
    fn options(&self) -> Result<RunOptions> {
        let Self { files, loaded, runtime, .. } = *self;
        Ok(RunOptions {
            model: loaded.local.id.clone(),
            batch: match files.batch {
                AutoOr::Auto => None,
                AutoOr::Number(number) => Some(number.get()),
            },
            jobs: match files.jobs {
                AutoOr::Auto => NonZero::new(runtime.threads.min(MOST_JOBS)).unwrap_or(NonZero::<usize>::MIN),
                AutoOr::Number(number) => number,
            },
            threads: Some(runtime.threads),
            on_failure: if files.fail_fast { OnFailure::Stop } else { OnFailure::Continue },
            interrupt: setup::interrupt()?,
            manifest: None,
        })
    }
}

/// Every job has the working memory of a network: more of them than this are asked for by number.
const MOST_JOBS: usize = 4;
