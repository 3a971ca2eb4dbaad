//! How far a run has come with an item that takes long, so that a killed run need not begin it anew.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Identity, Manifest, Resume, digest, index};
use crate::InputSource;

/// The steps of one item: a file of JSON lines beside the manifest. It goes when the item is done.
#[derive(Debug)]
pub struct Partial {
    path: PathBuf,
    /// Whether steps of an earlier run count.
    resume: Resume,
    file: Mutex<Option<File>>,
}

impl Manifest {
    /// The steps of an input with this SHA-256. None for standard input, which nobody can read again.
    pub fn partial(&self, input: &InputSource, sha256: &str) -> Option<Partial> {
        let path = partial_path(&self.path, &self.identity, input, sha256)?;
        Some(Partial { path, resume: self.resume, file: Mutex::new(None) })
    }

    /// Forgets the steps of an input that is done.
    pub(super) fn forget_partial(&self, input: &InputSource, sha256: &str) {
        if let Some(path) = partial_path(&self.path, &self.identity, input, sha256) {
            // Most items have none.
            let _ = fs::remove_file(path);
        }
    }

    /// Removes the folder of steps, unless there are some in it.
    pub(super) fn forget_partials(&self) {
        let _ = fs::remove_dir(folder(&self.path));
    }
}

/// `.percept-run.jsonl.partial` beside `percept-run.jsonl`.
fn folder(manifest: &Path) -> PathBuf {
    let name = manifest.file_name().unwrap_or_default().to_string_lossy();
    manifest.with_file_name(format!(".{name}.partial"))
}

fn partial_path(manifest: &Path, identity: &Identity, input: &InputSource, sha256: &str) -> Option<PathBuf> {
    let InputSource::Path(path) = input else { return None };
    let path = digest::hex(path.as_os_str().as_encoded_bytes());
    let Identity { task, model, parameters } = identity;
    let of = [task.as_str(), &model.id, &model.sha256, parameters, &path, sha256].join("\n");
    Some(folder(manifest).join(format!("{:.32}.jsonl", digest::of_text(&of))))
}

impl Partial {
    /// The steps of an earlier run, up to the first that is not whole; what stands behind them is cut off. None where
    /// this run begins anew.
    pub fn known<S: DeserializeOwned>(&self) -> Vec<S> {
        if self.resume == Resume::Nothing {
            let _ = fs::remove_file(&self.path);
            return vec![];
        }
        self.read().unwrap_or_default()
    }

    fn read<S: DeserializeOwned>(&self) -> io::Result<Vec<S>> {
        let file = File::options().read(true).write(true).open(&self.path)?;
        let (mut steps, mut whole, mut torn) = (Vec::new(), 0, false);
        index::each_line(&file, |start, line| {
            let step = if line.ends_with(b"\n") { serde_json::from_slice(line).ok() } else { None };
            match step {
                Some(step) if !torn => {
                    steps.push(step);
                    whole = start + line.len() as u64;
                }
                _ => torn = true,
            }
        })?;
        file.set_len(whole)?;
        Ok(steps)
    }

    /// Adds a step. What cannot be kept is not: the item is done all the same.
    pub fn keep<S: Serialize>(&self, step: &S) {
        // The next run would stop at a torn line, so that nothing wrong can come of it.
        let _ = self.append(step);
    }

    fn append<S: Serialize>(&self, step: &S) -> io::Result<()> {
        let mut line = serde_json::to_vec(step)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.is_none() {
            fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
            let mut opened = File::options().create(true).append(true).open(&self.path)?;
            opened.seek(SeekFrom::End(0))?;
            *file = Some(opened);
        }
        file.as_mut().map_or(Ok(()), |file| file.write_all(&line))
    }
}
