//! The catalogue: `models.toml`, compiled in.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use percept_core::{Error, ModelSpec, Result, Source};

use crate::reference::{is_commit, is_plain};

/// The catalogue of this build.
const CATALOGUE: &str = include_str!("../../../models.toml");

/// All models that percept knows by name.
#[derive(Clone, Debug)]
pub struct Registry {
    models: BTreeMap<String, ModelSpec>,
}

impl Registry {
    /// The catalogue that was compiled in.
    pub fn built_in() -> Self {
        Self::parse(CATALOGUE).expect("a test of this crate reads models.toml")
    }

    /// Reads a catalogue. Unknown keys, two defaults of one task, a source that is neither a
    /// repository nor a package, and digests that are none are errors.
    pub fn parse(text: &str) -> Result<Self> {
        let tables: BTreeMap<String, ModelSpec> = toml::from_str(text)
            .map_err(|error| Error::argument(format!("the catalogue cannot be read: {error}")))?;
        let mut models = BTreeMap::new();
        let mut defaults: BTreeMap<String, String> = BTreeMap::new();
        for (name, mut spec) in tables {
            check(&name, &spec)
                .map_err(|what| Error::argument(format!("the catalogue's `{name}` {what}")))?;
            if spec.default
                && let Some(other) = defaults.insert(spec.task.clone(), name.clone())
            {
                return Err(Error::argument(format!(
                    "`{other}` and `{name}` are both the default of `{}`",
                    spec.task
                )));
            }
            spec.name.clone_from(&name);
            models.insert(name, spec);
        }
        Ok(Self { models })
    }

    /// All models, by name.
    pub fn models(&self) -> impl Iterator<Item = &ModelSpec> {
        self.models.values()
    }

    /// The model of this name.
    pub fn get(&self, name: &str) -> Option<&ModelSpec> {
        self.models.get(name)
    }

    /// The model of a task when none is named.
    pub fn default_for(&self, task: &str) -> Result<&ModelSpec> {
        self.models
            .values()
            .find(|spec| spec.task == task && spec.default)
            .ok_or_else(|| Error::argument(format!("no model is the default of `{task}`")))
    }

    /// The model of this name; where there is none, an error that names the nearest.
    pub fn find(&self, task: Option<&str>, name: &str) -> Result<&ModelSpec> {
        let Some(spec) = self.models.get(name) else {
            let nearest = self.nearest(task, name);
            let Some(task) = task else {
                let hint = nearest.map_or("`percept models list` names them".into(), |name| {
                    format!("did you mean `{name}`?")
                });
                return Err(Error::Argument {
                    message: format!("no model is called `{name}`"),
                    hint: Some(hint),
                });
            };
            return Err(Error::UnknownModel { task: task.to_owned(), name: name.to_owned(), nearest });
        };
        match task {
            Some(task) if spec.task != task => Err(Error::Argument {
                message: format!("`{name}` is a model for `{}`, not for `{task}`", spec.task),
                hint: Some(format!("`percept models list --task {task}` names those that are")),
            }),
            _ => Ok(spec),
        }
    }

    /// The catalogue's model whose first repository this is.
    pub(crate) fn by_repository(&self, repository: &str) -> Option<&ModelSpec> {
        self.models.values().find(|spec| {
            spec.source
                .iter()
                .any(|source| source.hub.as_deref().is_some_and(|hub| hub.eq_ignore_ascii_case(repository)))
        })
    }

    /// The name that was probably meant.
    fn nearest(&self, task: Option<&str>, name: &str) -> Option<String> {
        let typed = name.to_lowercase();
        let of_task = |spec: &&ModelSpec| task.is_none_or(|task| spec.task == task);
        let models = || self.models.values().filter(of_task);
        // `tiny.en` and `turbo` are how whisper itself calls them.
        let ends = models()
            .filter(|spec| spec.name.ends_with(&format!("-{typed}")))
            .min_by_key(|spec| spec.name.len());
        let by_distance = || {
            models()
                .map(|spec| (strsim::damerau_levenshtein(&spec.name, &typed), spec))
                .filter(|(distance, spec)| *distance <= (spec.name.len() / 3).max(2))
                // A character is forgotten more often than one too many is typed.
                .min_by_key(|(distance, spec)| (*distance, Reverse(spec.name.len())))
                .map(|(_, spec)| spec)
        };
        ends.or_else(by_distance).map(|spec| spec.name.clone())
    }
}

fn check(name: &str, spec: &ModelSpec) -> Result<(), String> {
    if !is_plain(name) {
        return Err("is no plain name".into());
    }
    if !spec.name.is_empty() {
        return Err("names itself; its name is the key of its table".into());
    }
    if spec.task.is_empty() || spec.arch.is_empty() || spec.license.is_empty() {
        return Err("lacks a task, an architecture or a licence".into());
    }
    if spec.source.is_empty() != spec.built_in {
        return Err("has no source, or is built in and has one".into());
    }
    spec.source.iter().try_for_each(check_source)
}

fn check_source(source: &Source) -> Result<(), String> {
    match (&source.hub, &source.package) {
        (Some(hub), None) => {
            if hub.split('/').count() != 2 || !hub.split('/').all(is_plain) {
                return Err(format!("has a repository `{hub}` that is not ORG/REPO"));
            }
            if source.revision.as_deref().is_some_and(|revision| !is_commit(revision)) {
                return Err("pins a revision that is not a whole commit".into());
            }
        }
        (None, Some(package)) => {
            let folders = package.folder.split('/').all(is_plain);
            if !is_plain(&package.name) || !is_plain(&package.version) || !folders {
                return Err("has a package whose name, version or folder is not plain".into());
            }
            if source.files.is_empty() || source.files.iter().any(|file| !source.sha256.contains_key(file)) {
                return Err("has a package without files, or a file of it without SHA-256".into());
            }
        }
        _ => return Err("has a source that is not exactly one of `hub` and `package`".into()),
    }
    let wheel = source.package.iter().filter_map(|package| package.wheel_sha256.as_ref());
    if let Some(digest) = source.sha256.values().chain(wheel).find(|digest| !is_sha256(digest)) {
        return Err(format!("has a SHA-256 `{digest}` that is not 64 lower-case hex digits"));
    }
    match source.files.iter().chain(source.sha256.keys()).find(|file| !is_plain(file)) {
        Some(file) => Err(format!("names a file `{file}` that is not plain")),
        None => Ok(()),
    }
}

/// Whether this is a SHA-256 as it is written everywhere here.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
