//! `percept worker`: requests on standard input, answers on standard output, the model loaded once.

use std::collections::HashMap;
use std::io::{self, BufRead};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use percept::flow::{
    self, ExitCode, Failure, InputSource, Interrupt, Item, Observer, OutputTarget, RunOptions,
};
use percept::{Error, Model, Predicted, Result, Task};
use serde::Deserialize;
use serde_json::{Value, json};

use super::road::Work;
use crate::args::{Files, WorkerTask};
use crate::report;

pub(crate) fn run(task: &WorkerTask) -> Result<ExitCode> {
    match task {
        WorkerTask::Detect(arguments) => super::detect::serve(arguments),
        WorkerTask::Caption(arguments) => super::caption::serve(arguments),
        WorkerTask::Depth(arguments) => super::depth::serve(arguments),
        WorkerTask::Pose(arguments) => super::pose::serve(arguments),
        WorkerTask::Run(arguments) => super::run::serve(arguments),
        WorkerTask::Segment(arguments) => super::segment::serve(arguments),
        WorkerTask::Transcribe(arguments) => super::transcribe::serve(arguments),
    }
}

/// Refuses what has no meaning where inputs come as requests and results go out as answers.
pub(crate) fn check(files: &Files) -> Result<()> {
    let given = [
        (!files.inputs.is_empty(), "inputs"),
        (files.files_from.is_some(), "--files-from"),
        (files.output.is_some(), "--output"),
        (files.resume || files.retry_failed || files.manifest.is_some(), "a manifest"),
        (files.shard.is_some(), "--shard"),
        (files.raw.is_some(), "--raw"),
        (files.dry_run, "--dry-run"),
        (files.report.is_some(), "--report"),
        (!files.include.is_empty() || !files.exclude.is_empty(), "--include and --exclude"),
    ];
    match given.iter().find(|(given, _)| *given) {
        None => Ok(()),
        Some((_, what)) => Err(Error::Argument {
            message: format!("a worker has no use for {what}: it answers requests on standard input"),
            hint: Some(r#"write a line such as {"path": "photo.jpg", "id": 1} to it"#.into()),
        }),
    }
}

/// A line of standard input.
#[derive(Deserialize)]
#[serde(untagged)]
enum Request {
    Path(PathBuf),
    Full {
        path: PathBuf,
        #[serde(default)]
        id: Value,
    },
}

/// Requests that are not answered, by the index of their item: their identifier, or what is wrong with the line.
#[derive(Default)]
struct Open {
    requests: Mutex<HashMap<usize, (Value, Option<String>)>>,
    /// Whether whoever read the answers has gone away.
    deserted: AtomicBool,
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, HashMap<usize, (Value, Option<String>)>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn item(&self, index: usize, line: &str) -> Item {
        let (path, open) = match serde_json::from_str(line) {
            Ok(Request::Path(path)) => (path, (Value::Null, None)),
            Ok(Request::Full { path, id }) => (path, (id, None)),
            Err(_) => {
                // Only an object has one: to index a list by a name is a panic.
                let value = serde_json::from_str::<Value>(line).ok();
                let id = value.and_then(|value| value.get("id").cloned()).unwrap_or_default();
                (PathBuf::new(), (id, Some(format!("no request: {line:.200}"))))
            }
        };
        self.lock().insert(index, open);
        Item { index, input: InputSource::Path(path), outputs: vec![OutputTarget::Stdout] }
    }

    /// What is wrong with the line of an item.
    fn check(&self, item: &Item) -> Result<()> {
        let wrong = self.lock().get(&item.index).and_then(|(_, wrong)| wrong.clone());
        if let Some(message) = wrong {
            let hint = Some(r#"a request is "PATH" or {"path": "PATH", "id": ANYTHING}"#.to_owned());
            return Err(Error::Argument { message, hint });
        }
        // A pipe or a device might never end, and every answer behind it would wait.
        match std::fs::metadata(item.input.path()) {
            Ok(metadata) if !metadata.is_file() => Err(Error::input(item.input.path(), "it is no file")),
            _ => Ok(()),
        }
    }

    /// Answers a request with the members of a JSON object. They are text: as values, 32-bit numbers would get digits
    /// that they do not have.
    fn answer(&self, index: usize, members: &str) -> Result<()> {
        let id = self.lock().remove(&index).unwrap_or_default().0;
        let told = report::line(&format!(r#"{{"id":{id},{members}}}"#));
        self.deserted.fetch_or(told.is_err(), Ordering::SeqCst);
        told
    }
}

impl Observer for Open {
    fn failed(&self, failure: &Failure) {
        let (error, hint) = (json!(failure.error.chain()), json!(failure.error.hint()));
        let input = json!(failure.input.path().to_string_lossy());
        let members = format!(r#""status":"failed","input":{input},"error":{error},"hint":{hint}"#);
        // Where nobody reads any more there is nobody to tell.
        let _ = failure.index.map(|index| self.answer(index, &members));
    }
}

/// Answers requests until there are no more.
pub(crate) fn serve<T: Task>(
    model: &dyn Model<T>,
    options: &RunOptions,
    work: &impl Work<T>,
) -> Result<ExitCode> {
    let open = Open::default();
    let lines = Lines { lines: lines(), interrupt: &options.interrupt, deserted: &open.deserted };
    let items = lines.enumerate().map(|(index, line)| open.item(index, &line));
    let read = |item: &Item| open.check(item).and_then(|()| work.read(item, None));
    let write = |item: &Item, meta, predicted: Predicted<T::Output>| {
        let result = work.envelope(item, &meta, &predicted)?;
        open.answer(item.index, &format!(r#""status":"done","result":{result}"#))
    };
    let summary = flow::serve::<T, _, _, _>(model, items, read, write, options, &open);
    Ok(summary.exit_code())
}

/// The lines of standard input that have something in them, from a thread of their own: it cannot be interrupted while
/// it waits, and the process ends without it.
fn lines() -> Receiver<String> {
    let (send, lines) = sync_channel(1);
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            if !text.is_empty() && send.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    lines
}

struct Lines<'a> {
    lines: Receiver<String>,
    interrupt: &'a Interrupt,
    deserted: &'a AtomicBool,
}

impl Iterator for Lines<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            if self.deserted.load(Ordering::SeqCst) {
                return None;
            }
            match self.lines.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => return Some(line),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    if self.interrupt.pressed() {
                        return None;
                    }
                }
            }
        }
    }
}
