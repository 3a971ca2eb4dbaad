//! A run over items: a bar while it goes on, the paths that were written, and at the end what failed.

use std::fmt::Display;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};
use percept::Result;
use percept::flow::{Failure, Item, ItemTimes, Observer, OutputTarget, Plan, Summary};

use super::{data, explained, in_line, note, painted, warning};
use crate::args::{ProgressChoice, ProgressStyle};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Errors only.
    Silent,
    /// Lines, no bars.
    Plain,
    /// Bars on a terminal.
    Bar,
    /// A JSON value a line.
    Json,
}

impl Style {
    pub(super) fn of(choice: &ProgressChoice) -> Self {
        match choice.progress {
            ProgressStyle::Json => Self::Json,
            _ if choice.quiet => Self::Silent,
            ProgressStyle::None => Self::Plain,
            ProgressStyle::Bar => Self::Bar,
            ProgressStyle::Auto if std::io::stderr().is_terminal() => Self::Bar,
            ProgressStyle::Auto => Self::Plain,
        }
    }
}

/// Whether the paths that were written are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paths {
    /// On standard output, unless data goes there; then on standard error.
    Printed,
    /// Not at all.
    Silent,
}

/// Watches a run.
pub(crate) struct BatchReport {
    style: Style,
    verbose: bool,
    total: usize,
    paths: Paths,
    /// Whether an output goes to standard output.
    stdout_is_data: bool,
    bar: Bar,
    sums: Mutex<Sums>,
}

/// The bar of a run: over the seconds of one recording, or over many items.
#[derive(Clone)]
pub(crate) struct Bar {
    bar: ProgressBar,
    counts_seconds: bool,
}

impl Bar {
    /// How far into the recording, in seconds.
    pub(crate) fn position(&self, seconds: f64) {
        if self.counts_seconds {
            self.bar.set_position(seconds as u64);
        }
    }

    /// Does something while the bar is off the screen.
    pub(crate) fn suspend(&self, work: impl FnOnce()) {
        self.bar.suspend(work);
    }
}

impl BatchReport {
    pub(crate) fn new(choice: &ProgressChoice, plan: &Plan, paths: Paths) -> Self {
        let style = Style::of(choice);
        let total = plan.items.len();
        let bar = ProgressBar::hidden();
        let template = match total {
            1 => "{bar:24} {pos}/{len} s {eta}",
            _ => "{bar:24} {pos}/{len} {per_sec} {eta} left {msg}",
        };
        bar.set_style(BarStyle::with_template(template).unwrap_or_else(|_| BarStyle::default_bar()));
        bar.set_length(total as u64);
        // The bar of one input measures its seconds, where it has any: see `duration`.
        if style == Style::Bar && total != 1 {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        let stdout_is_data = plan.items.iter().any(|item| item.outputs.contains(&OutputTarget::Stdout));
        Self {
            style,
            verbose: choice.verbose,
            total,
            paths,
            stdout_is_data,
            bar: Bar { bar, counts_seconds: total == 1 },
            sums: Mutex::default(),
        }
    }

    /// The bar.
    pub(crate) fn bar(&self) -> Bar {
        self.bar.clone()
    }

    /// How long a recording is, in seconds.
    pub(crate) fn duration(&self, _item: &Item, seconds: f64) {
        if self.bar.counts_seconds {
            self.bar.bar.set_length(seconds.ceil() as u64);
            if self.style == Style::Bar {
                self.bar.bar.set_draw_target(ProgressDrawTarget::stderr());
            }
        }
    }

    /// What was odd about an input.
    pub(crate) fn warnings(&self, item: &Item, warnings: &[impl Display]) {
        if matches!(self.style, Style::Silent | Style::Json) {
            return;
        }
        for found in warnings {
            self.bar.suspend(|| warning(&format!("`{}`: {found}", item.input.path().display())));
        }
    }

    /// Prints the paths of an item's outputs.
    fn written(&self, item: &Item) -> Result<()> {
        if self.paths == Paths::Silent {
            return Ok(());
        }
        let paths = item.outputs.iter().filter_map(OutputTarget::path);
        let lines = paths.map(|path| in_line(path) + "\n").collect::<String>();
        let mut result = Ok(());
        self.bar.suspend(|| {
            if !self.stdout_is_data {
                result = data(&lines).map(drop);
            } else if !matches!(self.style, Style::Silent | Style::Json) && !lines.is_empty() {
                note(lines.trim_end());
            }
        });
        result
    }

    /// The end of the run: counts, and what failed.
    pub(crate) fn finish(&self, summary: &Summary) {
        self.bar.bar.finish_and_clear();
        if self.style == Style::Json {
            note(
                &serde_json::json!({
                    "event": "summary", "planned": summary.planned, "done": summary.done, "kept": summary.kept,
                    "failed": summary.failed.len(), "interrupted": summary.interrupted,
                    "seconds": summary.elapsed.as_secs_f64(),
                })
                .to_string(),
            );
            return;
        }
        let failed = summary.failed.len();
        if self.total + failed > 1 && (failed > 0 || self.style != Style::Silent) {
            let seconds = summary.elapsed.as_secs_f64();
            let kept = match summary.kept {
                0 => String::new(),
                kept => format!(", {kept} done before"),
            };
            note(&format!(
                "{} of {} done{kept}, {failed} failed, {seconds:.1} s",
                summary.done, summary.planned
            ));
            for failure in &summary.failed {
                note(&format!("{} {}", painted("failed:", "31;1"), in_line(failure.input.path())));
            }
        }
        if summary.interrupted {
            note("interrupted: what was finished is written; `--resume` goes on, `-y` starts anew");
        }
    }
}

impl BatchReport {
    /// One more has ended.
    fn step(&self, times: &ItemTimes, failed: usize) {
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.add(times);
        sums.failed += failed;
        if !self.bar.counts_seconds {
            self.bar.bar.set_message(sums.message());
            self.bar.bar.inc(1);
        }
    }

    /// An item's line of JSON.
    fn event(&self, index: Option<usize>, input: &Path, status: &str, more: serde_json::Value) {
        let mut value = serde_json::json!({
            "event": "item", "index": index, "total": self.total, "input": input.to_string_lossy(), "status": status,
        });
        if let (Some(value), serde_json::Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        note(&value.to_string());
    }
}

/// Where the time went so far, and what failed.
#[derive(Default)]
struct Sums {
    stages: [Duration; 3],
    failed: usize,
}

impl Sums {
    const NAMES: [&'static str; 3] = ["reading", "model", "writing"];

    fn add(&mut self, times: &ItemTimes) {
        let timings = &times.timings;
        let model = Duration::from_secs_f64(timings.spent().max(0.0) / 1e3);
        for (sum, time) in self.stages.iter_mut().zip([times.read, model, times.write]) {
            *sum += time;
        }
    }

    /// The stage that takes the most, and its share in percent.
    fn bottleneck(&self) -> Option<(&'static str, f64)> {
        let all: Duration = self.stages.iter().sum();
        let most = (0..self.stages.len()).max_by_key(|stage| self.stages[*stage])?;
        (!all.is_zero())
            .then(|| (Self::NAMES[most], 100.0 * self.stages[most].as_secs_f64() / all.as_secs_f64()))
    }

    fn message(&self) -> String {
        let failed = if self.failed == 0 { String::new() } else { format!("{} failed, ", self.failed) };
        match self.bottleneck() {
            Some((stage, share)) => format!("{failed}{stage} {share:.0} %"),
            None => failed,
        }
    }
}

impl Observer for BatchReport {
    fn finished(&self, item: &Item, times: &ItemTimes) -> Result<()> {
        self.step(times, 0);
        let (path, timings) = (item.input.path(), &times.timings);
        if self.style == Style::Json {
            let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
            let bottleneck = self.sums.lock().unwrap_or_else(PoisonError::into_inner).bottleneck();
            let more = serde_json::json!({
                "decode_ms": timings.decode, "model_ms": timings.model, "write_ms": milliseconds(times.write),
                "bottleneck": bottleneck.map(|(stage, _)| stage),
            });
            self.event(Some(item.index), path, "done", more);
        } else if self.verbose {
            let line = format!(
                "{}: decode {:.0} ms, prepare {:.0} ms, model {:.0} ms",
                path.display(),
                timings.decode,
                timings.prepare,
                timings.model
            );
            self.bar.suspend(|| note(&line));
        }
        self.written(item)
    }

    fn kept(&self, item: &Item) {
        self.step(&ItemTimes::default(), 0);
        if self.style == Style::Json {
            self.event(Some(item.index), item.input.path(), "kept", serde_json::Value::Null);
        }
    }

    fn failed(&self, failure: &Failure) {
        self.step(&ItemTimes::default(), 1);
        if self.style == Style::Json {
            let more = serde_json::json!({ "error": failure.error.chain(), "hint": failure.error.hint() });
            self.event(failure.index, failure.input.path(), "failed", more);
        } else {
            self.bar.suspend(|| note(&explained(&failure.error)));
        }
    }
}
