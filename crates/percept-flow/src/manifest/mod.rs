//! `percept-run.jsonl`: what became of every item, a line each as it ends, so that a run can go on where another was
//! stopped, however it was stopped.
//!
//! A line is appended with one write once all outputs of its item are in place. A line that was cut off is no line: its
//! item is done again, with the same outcome. Later lines replace earlier ones of the same input; at the end of a run
//! the file is rewritten with one line an input, in the order of the plan.

mod digest;
mod index;
mod merge;
mod partial;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fs2::FileExt;
use index::Index;
use percept_core::{Error, Result, Timings, write};

pub use merge::{Merged, merge};
pub use partial::Partial;
pub use record::{
    Content, Identity, InputRecord, Milliseconds, ModelRecord, OutputRecord, PathRecord, Record, Status,
};

use crate::{InputSource, Item, OutputTarget, Plan};

/// The manifest of a folder of outputs.
pub const MANIFEST_NAME: &str = "percept-run.jsonl";

/// What one line that was cut off may come to, in bytes: a file of more without any record is somebody else's.
const MOST_TORN: u64 = 1 << 14;

/// Which items are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// All.
    #[default]
    Nothing,
    /// Those that are missing or changed: their input, the parameters, the model or an output.
    Missing,
    /// These and those that failed.
    Failed,
}

/// The record of a run on disk.
#[derive(Debug)]
pub struct Manifest {
    path: PathBuf,
    file: Mutex<File>,
    identity: Identity,
    resume: Resume,
    known: Index,
}

/// What is to be done with an item.
#[derive(Debug)]
pub(crate) enum Look {
    /// It is done already.
    Kept,
    /// It failed already, for this reason.
    Failed(String),
    /// It is to be done. The input's content, where it could be read.
    ToDo(Option<Content>),
}

impl Identity {
    /// Of a task, a model by its name and the SHA-256 of its weights, and everything else that an output depends on, as
    /// text.
    pub fn new(task: &str, model: &str, sha256: &str, parameters: &str) -> Self {
        let model = ModelRecord { id: model.to_owned(), sha256: sha256.to_owned() };
        Self { task: task.to_owned(), model, parameters: digest::of_text(parameters) }
    }
}

impl Manifest {
    /// Opens the manifest at `path` or begins one, with the folders that it needs, for a run of `plan`. Half-written
    /// files that a killed run left beside the plan's outputs are removed.
    ///
    /// # Errors
    /// `Error::Output`: the file cannot be written, or another run is writing it.
    pub fn open(path: &Path, identity: Identity, resume: Resume, plan: &Plan) -> Result<Self> {
        let failed = |cause: io::Error| error(path, cause);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        // A device would be read for ever.
        if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(Error::Output {
                path: path.to_owned(),
                cause: "it is no file".into(),
                hint: Some("name a file with `--manifest`".into()),
            });
        }
        let mut file = File::options().read(true).append(true).create(true).open(path).map_err(failed)?;
        if file.try_lock_exclusive().is_err() {
            return Err(Error::Output {
                path: path.to_owned(),
                cause: "another run is writing it".into(),
                hint: Some("wait until it ends, or write to another folder".into()),
            });
        }
        let known = Index::of(&file).map_err(failed)?;
        if known.is_empty() && file.metadata().map_err(failed)?.len() > MOST_TORN {
            return Err(Error::Output {
                path: path.to_owned(),
                cause: "it is a file that no run has written".into(),
                hint: Some("name another one with `--manifest`".into()),
            });
        }
        end_line(&mut file).map_err(failed)?;
        remove_leftovers(plan).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), identity, resume, known })
    }

    /// What is to be done with an item. Reads its input and, where it might be done, its outputs.
    pub(crate) fn look(&self, item: &Item) -> Look {
        let InputSource::Path(path) = &item.input else { return Look::ToDo(None) };
        let content = digest::of_file(path).ok();
        if self.resume == Resume::Nothing {
            return Look::ToDo(content);
        }
        let same = |record: &Record| record.identity == self.identity && record.input.content == content;
        // A manifest that cannot be read back knows nothing.
        let known = self.known.get(&self.file(), &self.identity.task, &PathRecord::of(path)).ok().flatten();
        match known.filter(same) {
            Some(Record { status: Status::Done, outputs, .. }) if self.stand(item, &outputs) => Look::Kept,
            Some(Record { status: Status::Failed, error, unwritten: false, .. })
                if self.resume == Resume::Missing =>
            {
                Look::Failed(error.unwrap_or_default())
            }
            _ => Look::ToDo(content),
        }
    }

    /// Whether the outputs of an item are what was recorded of them.
    fn stand(&self, item: &Item, recorded: &[OutputRecord]) -> bool {
        let targets: Vec<&Path> = item.outputs.iter().filter_map(OutputTarget::path).collect();
        targets.len() == item.outputs.len()
            && targets.len() == recorded.len()
            && targets.iter().zip(recorded).all(|(path, record)| {
                record.path == PathRecord::of(path)
                    && digest::of_output(path).is_ok_and(|sha256| sha256 == record.sha256)
            })
    }

    /// Notes an item whose outputs are written.
    pub(crate) fn done(
        &self,
        item: &Item,
        content: Option<Content>,
        timings: &Timings,
        write_ms: f64,
    ) -> Result<()> {
        let outputs = item.outputs.iter().filter_map(OutputTarget::path).map(|path| {
            let sha256 = digest::of_output(path).map_err(|cause| error(path, cause))?;
            Ok(OutputRecord { path: PathRecord::of(path), sha256 })
        });
        let sha256 = content.as_ref().map(|content| content.sha256.clone());
        self.append(Record {
            outputs: outputs.collect::<Result<_>>()?,
            ms: Milliseconds::of(timings, write_ms),
            ..self.record(item, content, Status::Done)
        })?;
        if let Some(sha256) = sha256 {
            self.forget_partial(&item.input, &sha256);
        }
        Ok(())
    }

    /// Notes an item that was given up.
    pub(crate) fn failed(&self, item: &Item, content: Option<Content>, why: &Error) -> Result<()> {
        let unwritten = matches!(why, Error::Output { .. });
        self.append(Record {
            error: Some(why.chain()),
            unwritten,
            ..self.record(item, content, Status::Failed)
        })
    }

    fn record(&self, item: &Item, content: Option<Content>, status: Status) -> Record {
        Record {
            schema: record::SCHEMA.to_owned(),
            identity: self.identity.clone(),
            input: InputRecord { path: PathRecord::of(item.input.path()), content },
            status,
            outputs: vec![],
            ms: Milliseconds::default(),
            error: None,
            unwritten: false,
        }
    }

    fn append(&self, record: Record) -> Result<()> {
        let mut line = serde_json::to_string(&record).map_err(|cause| error(&self.path, cause.into()))?;
        line.push('\n');
        let mut file = self.file();
        if !is_at(&file, &self.path) {
            return Err(Error::Output {
                path: self.path.clone(),
                cause: "it was removed or replaced during the run".into(),
                hint: Some("run again with `--resume`: it does what is missing".into()),
            });
        }
        file.write_all(line.as_bytes()).map_err(|cause| error(&self.path, cause))
    }

    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rewrites the file with the last line of each input: those of the plan in its order, then all others by path.
    ///
    /// # Errors
    /// `Error::Output`; all lines are in the file as it was.
    pub fn finish(self, plan: &Plan) -> Result<()> {
        self.forget_partials();
        let failed = |cause| error(&self.path, cause);
        let file = self.file();
        // What somebody else put there meanwhile is theirs.
        if self.path.exists() && !is_at(&file, &self.path) {
            return Ok(());
        }
        let mut index = Index::of(&file).map_err(failed)?;
        let planned = plan.items.iter().map(|item| PathRecord::of(item.input.path()));
        let task = &self.identity.task;
        let mut lines: Vec<_> = planned.filter_map(|path| index.remove(task, &path)).collect();
        lines.extend(index.rest(&file).map_err(failed)?);
        write::atomic_with(&self.path, |writer| {
            lines.iter().try_for_each(|line| writer.write_all(&index::text(&file, *line)?))
        })
    }
}

fn error(path: &Path, cause: io::Error) -> Error {
    let hint = write::hint(&cause);
    Error::Output { path: path.to_owned(), cause: cause.into(), hint }
}

/// Whether an open file is the one that a path leads to. Known on Unix only.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let (here, there) = (file.metadata().map(place), fs::metadata(path).map(place));
        matches!((here, there), (Ok(here), Ok(there)) if here == there)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

/// Ends a line that was cut off, so that the next one stands for itself.
fn end_line(file: &mut File) -> io::Result<()> {
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

/// Removes what `percept_core::write` had begun when it was killed.
fn remove_leftovers(plan: &Plan) -> io::Result<()> {
    let outputs = plan.items.iter().flat_map(|item| &item.outputs).filter_map(OutputTarget::path);
    let folders: BTreeSet<&Path> = outputs.filter_map(Path::parent).collect();
    for folder in folders {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            if write::is_leftover(&path) {
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }?;
            }
        }
    }
    Ok(())
}
