//! A run over items: a bar while it goes on, the paths that were written, and at the end what failed.

use std::fmt::Display;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};
use percept::flow::{Failure, Item, Observer, OutputTarget, Plan, Summary};
use percept::{Result, Timings};

use super::{data, explained, note, painted, warning};
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
            _ => "{bar:24} {pos}/{len} {per_sec} {eta} {msg}",
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
    pub(crate) fn written(&self, item: &Item) -> Result<()> {
        if self.paths == Paths::Silent {
            return Ok(());
        }
        let paths = item.outputs.iter().filter_map(OutputTarget::path);
        let lines = paths.map(|path| format!("{}\n", path.display())).collect::<String>();
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
                note(&format!("{} {}", painted("failed:", "31;1"), failure.input.path().display()));
            }
        }
        if summary.interrupted {
            note("interrupted: what was finished is written; `--resume` goes on, `-y` starts anew");
        }
    }
}

impl Observer for BatchReport {
    fn finished(&self, item: &Item, timings: &Timings) {
        if !self.bar.counts_seconds {
            self.bar.bar.inc(1);
        }
        let path = item.input.path();
        if self.style == Style::Json {
            let value = serde_json::json!({
                "event": "item", "index": item.index, "total": self.total, "input": path.to_string_lossy(),
                "status": "done", "decode_ms": timings.decode, "model_ms": timings.model,
            });
            note(&value.to_string());
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
    }

    fn kept(&self, item: &Item) {
        if !self.bar.counts_seconds {
            self.bar.bar.inc(1);
        }
        if self.style == Style::Json {
            let value = serde_json::json!({
                "event": "item", "index": item.index, "total": self.total,
                "input": item.input.path().to_string_lossy(), "status": "kept",
            });
            note(&value.to_string());
        }
    }

    fn failed(&self, failure: &Failure) {
        if !self.bar.counts_seconds {
            self.bar.bar.inc(1);
        }
        if self.style == Style::Json {
            let value = serde_json::json!({
                "event": "item", "total": self.total, "input": failure.input.path().to_string_lossy(),
                "status": "failed", "error": failure.error.chain(), "hint": failure.error.hint(),
            });
            note(&value.to_string());
        } else {
            self.bar.suspend(|| note(&explained(&failure.error)));
        }
    }
}
