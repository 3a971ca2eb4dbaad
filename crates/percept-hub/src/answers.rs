//! What the commands of `percept models` answer. Everything can be serialised.

use std::path::PathBuf;

use serde::Serialize;

/// Whether a pull asks the source for what is here already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refetch {
    /// What is here stays as it is.
    Missing,
    /// The newest revision is asked for; every byte that is here is read and kept only if it is right.
    Everything,
}

/// Where models are kept, and whether they may be fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CacheSummary {
    /// The standard Hugging Face cache.
    pub path: PathBuf,
    /// Our own folder, with the lock file and what came out of packages.
    pub home: PathBuf,
    /// Bytes that this user may still write where the cache lies, if the system tells.
    pub free_bytes: Option<u64>,
    /// Whether no socket is opened.
    pub offline: bool,
    /// The Hub that models are fetched from.
    pub endpoint: String,
}

/// A line of `percept models list`, and the head of `show`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelSummary {
    /// The catalogue's name, or `ORG/REPO[@REV]`.
    pub name: String,
    /// The task, where it is known.
    pub task: Option<String>,
    /// The architecture, where it is known.
    pub architecture: Option<String>,
    /// Number of parameters, as published.
    pub parameters: Option<u64>,
    /// The licence of the weights.
    pub license: Option<String>,
    /// Whether the weights may not be used commercially.
    pub noncommercial: bool,
    /// Whether this is its task's model when none is named.
    pub default: bool,
    /// One line for people.
    pub description: String,
    /// Where it comes from, in order of preference.
    pub sources: Vec<String>,
    /// Whether all its files are on this machine.
    pub here: bool,
    /// Where it came from, if it is here.
    pub source: Option<String>,
    /// The commit or version that is here.
    pub revision: Option<String>,
    /// The folder of its files, if it is here.
    pub path: Option<PathBuf>,
    /// Its size on disk, in bytes, if it is here.
    pub bytes: Option<u64>,
    /// Its files, if it is here.
    pub files: Vec<ModelFile>,
}

/// A file of a model that is here.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelFile {
    /// Its name in the repository or folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, where the lock file or the catalogue has it.
    pub sha256: Option<String>,
}

/// The answer of a pull.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PulledModel {
    /// As it was asked for.
    pub name: String,
    /// Where it came from, now or earlier.
    pub source: String,
    /// The commit or version.
    pub revision: Option<String>,
    /// The folder of its files.
    pub path: PathBuf,
    /// How many bytes came over the network; none if all was here.
    pub received: u64,
    /// Its size on disk, in bytes.
    pub bytes: u64,
}

/// The answer of a verification.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerifiedModel {
    /// As it was asked for.
    pub name: String,
    /// Whether every file is what it was when it was fetched.
    pub ok: bool,
    /// Its files.
    pub files: Vec<FileCheck>,
}

/// A file that was read in full.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileCheck {
    /// Where it lies.
    pub path: PathBuf,
    /// What it should be; absent where nobody promised anything.
    pub want: Option<String>,
    /// What it is; absent where it cannot be read.
    pub got: Option<String>,
    /// Whether it is right.
    pub ok: bool,
}

/// The answer of a removal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RemovedModel {
    /// As it was asked for.
    pub name: String,
    /// How much room it gave back, in bytes.
    pub bytes: u64,
    /// What was removed.
    pub paths: Vec<PathBuf>,
}
