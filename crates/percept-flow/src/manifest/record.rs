//! A line of the manifest.

use std::path::{Path, PathBuf};

use percept_core::Timings;
use serde::{Deserialize, Serialize};

/// The version of the lines. It grows when a field changes its meaning, not when one is added.
pub(super) const SCHEMA: &str = "percept-run/1";

/// What became of an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `percept-run/1`.
    pub schema: String,
    /// What was made.
    #[serde(flatten)]
    pub identity: Identity,
    /// Of what.
    pub input: InputRecord,
    /// How it ended.
    pub status: Status,
    /// In the order of the formats. Empty where it failed.
    pub outputs: Vec<OutputRecord>,
    /// By stage, in milliseconds.
    pub ms: Milliseconds,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// Whether it failed because an output could not be written: that is no fault of the input, and is tried again.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub unwritten: bool,
}

/// What a run makes of its inputs: the same of the same input gives the same outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The task's name.
    pub task: String,
    /// The model.
    pub model: ModelRecord,
    /// SHA-256 of all that was asked for.
    pub parameters: String,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// As it is called.
    pub id: String,
    /// Of its weights; empty for what is built in.
    pub sha256: String,
}

/// An input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRecord {
    /// As it was typed or found.
    #[serde(flatten)]
    pub path: PathRecord,
    /// Absent where it could not be read.
    #[serde(flatten)]
    pub content: Option<Content>,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// A path, whatever its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PathRecord {
    /// For people.
    pub path: String,
    /// Its bytes in hex, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path_bytes: Option<String>,
}

impl PathRecord {
    /// Of a path.
    pub fn of(path: &Path) -> Self {
        let text = path.to_string_lossy();
        let whole = path.to_str().is_some();
        let bytes = (!whole).then(|| super::digest::hex(path.as_os_str().as_encoded_bytes()));
        Self { path: text.into_owned(), path_bytes: bytes }
    }

    /// The path. Where it is no UTF-8 that is known on Unix only; elsewhere it is what people see.
    pub fn to_path(&self) -> PathBuf {
        #[cfg(unix)]
        if let Some(bytes) = self.path_bytes.as_deref().and_then(super::digest::unhex) {
            use std::os::unix::ffi::OsStringExt;
            return std::ffi::OsString::from_vec(bytes).into();
        }
        PathBuf::from(&self.path)
    }
}

/// How an item ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its outputs are written.
    Done,
    /// It was given up.
    Failed,
}

/// An output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// Where it lies.
    #[serde(flatten)]
    pub path: PathRecord,
    /// Of the file; of a folder, of the names and digests of its files.
    pub sha256: String,
}

/// Time by stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Milliseconds {
    /// Reading and decoding.
    pub decode: f64,
    /// Turning the media into the network's input.
    pub prepare: f64,
    /// The network.
    pub model: f64,
    /// Turning the network's output into the result.
    pub finish: f64,
    /// Writing.
    pub write: f64,
}

impl Milliseconds {
    pub(super) fn of(timings: &Timings, write: f64) -> Self {
        let rounded = |value: f64| (value * 1e3).round() / 1e3;
        Self {
            decode: rounded(timings.decode),
            prepare: rounded(timings.prepare),
            model: rounded(timings.model),
            finish: rounded(timings.finish),
            write: rounded(write),
        }
    }
}
