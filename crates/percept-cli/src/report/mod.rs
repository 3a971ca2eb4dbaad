//! The only place that writes to the terminal: data on standard output, everything else on standard
//! error.
#![expect(clippy::print_stderr, reason = "messages to people are this module's work")]

mod batch;
mod fetch;
mod table;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::error::ErrorKind;
use percept::flow::{ExitCode, Item, Plan};
use percept::{Error, Result};
use serde::Serialize;

pub(crate) use batch::{BatchReport, Paths};
pub(crate) use fetch::Fetch;
pub(crate) use table::table;

/// An error that ends the command: what happened, then what to do.
pub(crate) fn error(error: &Error) {
    eprintln!("{}", explained(error));
}

/// `error: message: cause`, and a hint behind a blank line.
fn explained(error: &Error) -> String {
    let mut text = format!("{} {}", painted("error:", "31;1"), error.chain());
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\n\n{} {hint}", painted("hint:", "36;1")));
    }
    text
}

/// A note that nothing failed over.
pub(crate) fn warning(text: &str) {
    eprintln!("{} {text}", painted("warning:", "33;1"));
}

/// A line on standard error.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// What clap has to say: help and version are data, the rest is wrong usage.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // There is nobody left to tell when this fails.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::Done,
        _ => ExitCode::Usage,
    }
}

/// Text on standard output. A reader that has gone away is no failure.
pub(crate) fn data(text: &str) -> Result<ExitCode> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(ExitCode::Done),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::Done),
        Err(error) => Err(stdout_error(error)),
    }
}

/// Standard output with what `fill` writes; 0 where its reader has gone away.
pub(crate) fn streamed(fill: impl FnOnce(&mut (dyn Write + Send)) -> Result<usize>) -> Result<usize> {
    let mut stdout = io::BufWriter::new(io::stdout());
    let filled = fill(&mut stdout).and_then(|count| stdout.flush().map(|()| count).map_err(unwritten));
    match filled {
        Err(Error::Output { cause, hint, .. }) => match cause.downcast_ref::<io::Error>() {
            Some(gone) if gone.kind() == io::ErrorKind::BrokenPipe => Ok(0),
            _ => Err(Error::Output { path: PathBuf::from("<stdout>"), cause, hint }),
        },
        other => other,
    }
}

/// Refuses to write what is no text to a terminal.
pub(crate) fn no_terminal(what: &str) -> Result<()> {
    match io::stdout().is_terminal() {
        false => Ok(()),
        true => Err(Error::Argument {
            message: format!("{what} is no text for a terminal"),
            hint: Some("name a file with `-o`".into()),
        }),
    }
}

/// An error of writing, of a place that is known elsewhere.
pub(crate) fn unwritten(error: io::Error) -> Error {
    Error::Output { path: PathBuf::from("-"), hint: percept::write::hint(&error), cause: error.into() }
}

fn stdout_error(error: io::Error) -> Error {
    Error::Output { path: PathBuf::from("<stdout>"), cause: error.into(), hint: None }
}

/// Pretty JSON with a closing newline.
pub(crate) fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(not_json)
}

fn not_json(error: serde_json::Error) -> Error {
    Error::argument(format!("the result cannot be written as JSON: {error}"))
}

/// JSON in one line, without its end.
pub(crate) fn json_line(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(not_json)
}

/// A line on standard output, at once. Unlike with [`data`], a reader that has gone away is an error: it ends the run.
pub(crate) fn line(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(stdout_error)
}

/// What a run would make of what: a line an output, with the input, a tab and the output (`-` for standard output).
pub(crate) fn plan(plan: &Plan) -> Result<ExitCode> {
    let line = |item: &Item| {
        let outputs = item.outputs.iter().map(|output| output.path().unwrap_or(Path::new("-")));
        outputs
            .map(|output| format!("{}\t{}\n", in_line(item.input.path()), in_line(output)))
            .collect::<String>()
    };
    let done = data(&plan.items.iter().map(line).collect::<String>())?;
    for (path, cause) in &plan.unreadable {
        warning(&format!("`{}` cannot be listed: {cause}", path.display()));
    }
    Ok(if plan.unreadable.is_empty() { done } else { ExitCode::SomeFailed })
}

/// A path in one line: quoted where it has line breaks or the like.
fn in_line(path: &Path) -> String {
    let text = path.display().to_string();
    if text.chars().any(char::is_control) { format!("{path:?}") } else { text }
}

/// `75 MB`, `1.62 GB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes as f64 / 1e6 {
        mega if mega >= 1000.0 => format!("{:.2} GB", mega / 1000.0),
        mega if mega >= 1.0 => format!("{mega:.0} MB"),
        mega => format!("{:.0} kB", mega * 1000.0),
    }
}

/// Colour on a terminal, unless `NO_COLOR` is set.
fn painted(text: &str, code: &str) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain || !io::stderr().is_terminal() { text.into() } else { format!("\x1b[{code}m{text}\x1b[0m") }
}

/// The one transcript that goes to standard output as it is decoded.
#[derive(Default)]
pub(crate) struct LiveText {
    closed: AtomicBool,
}

impl LiveText {
    /// A line, at once.
    pub(crate) fn line(&self, text: &str) {
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let mut stdout = io::stdout().lock();
        if writeln!(stdout, "{text}").and_then(|()| stdout.flush()).is_err() {
            self.closed.store(true, Ordering::Relaxed);
        }
    }

    /// Whether all of it arrived: what stopped a line stops this too.
    pub(crate) fn finish(&self) -> Result<()> {
        match io::stdout().lock().flush() {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(stdout_error(error)),
            _ => Ok(()),
        }
    }
}
