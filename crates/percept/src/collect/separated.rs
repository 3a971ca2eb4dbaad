//! Rows as text, separated by commas or tabs.

use std::io::Write;

use percept_core::Result;
use serde_json::Value;

use super::rows::{Column, Sink};
use super::unwritten;

/// Writes rows with a line of names above them.
pub(super) struct Separated<W: Write> {
    writer: csv::Writer<W>,
    columns: &'static [Column],
}

impl<W: Write> Separated<W> {
    pub(super) fn new(delimiter: u8, out: W) -> Self {
        Self { writer: csv::WriterBuilder::new().delimiter(delimiter).from_writer(out), columns: &[] }
    }

    fn line(&mut self, first: &str, rest: impl Iterator<Item = String>) -> Result<()> {
        self.writer
            .write_record([first.to_owned()].into_iter().chain(rest))
            .map_err(|cause| unwritten(cause.into()))
    }
}

impl<W: Write> Sink for Separated<W> {
    fn begin(&mut self, columns: &'static [Column]) -> Result<()> {
        self.columns = columns;
        self.line("input", columns.iter().map(|column| column.name.to_owned()))
    }

    fn row(&mut self, input: &str, row: &Value) -> Result<()> {
        let cells = self.columns.iter().map(|column| match column.value(row) {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        });
        self.line(input, cells)
    }

    fn finish(&mut self) -> Result<()> {
        self.writer.flush().map_err(unwritten)
    }
}
