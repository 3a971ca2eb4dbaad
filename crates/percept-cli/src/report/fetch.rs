//! The hub at work: a line for each attempt, a bar for each file.

use std::collections::HashMap;
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use percept::hub::{Event, Progress};

use super::{batch::Style, note};
use crate::args::ProgressChoice;

/// Draws what the hub tells.
pub(crate) struct Fetch {
    style: Style,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Fetch {
    pub(crate) fn new(choice: &ProgressChoice) -> Self {
        Self { style: Style::of(choice), bars: Mutex::default() }
    }

    fn json(&self, event: &Event<'_>) {
        let value = match event {
            Event::Attempt { model, source } => {
                serde_json::json!({"event": "attempt", "model": model, "source": source})
            }
            Event::Failed { model, source, reason } => {
                serde_json::json!({"event": "failed", "model": model, "source": source, "reason": reason})
            }
            Event::Bytes { file, done, total } => {
                serde_json::json!({"event": "bytes", "file": file, "done": done, "total": total})
            }
            Event::Finished { file } => serde_json::json!({"event": "finished", "file": file}),
            Event::Ready { model, source } => {
                serde_json::json!({"event": "ready", "model": model, "source": source})
            }
            _ => return,
        };
        note(&value.to_string());
    }

    fn bar(&self, event: &Event<'_>) {
        let Ok(mut bars) = self.bars.lock() else { return };
        match event {
            Event::Started { file, resumed, total } => {
                let bar = match total {
                    Some(total) => ProgressBar::new(*total),
                    None => ProgressBar::no_length(),
                };
                let template = "{msg} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
                bar.set_style(
                    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
                );
                bar.set_message((*file).to_owned());
                bar.set_position(*resumed);
                bars.insert((*file).to_owned(), bar);
            }
            Event::Bytes { file, done, .. } => {
                if let Some(bar) = bars.get(*file) {
                    bar.set_position(*done);
                }
            }
            Event::Finished { file } => {
                if let Some(bar) = bars.remove(*file) {
                    bar.finish_and_clear();
                }
            }
            _ => {}
        }
    }
}

impl Progress for Fetch {
    fn event(&self, event: &Event<'_>) {
        match self.style {
            Style::Silent => {}
            Style::Json => self.json(event),
            Style::Plain | Style::Bar => {
                if event.is_line() {
                    note(&event.to_string());
                }
                if self.style == Style::Bar {
                    self.bar(event);
                }
            }
        }
    }
}
