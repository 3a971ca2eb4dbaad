//! What `percept models` does: list, show, pull, verify, remove, path.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use percept_core::{Error, Result, SourceKind};

use crate::answers::{
    CacheSummary, FileCheck, ModelFile, ModelSummary, PulledModel, Refetch, RemovedModel, VerifiedModel,
};
use crate::cache::{CachedRepository, promise_of};
use crate::digest::{Promise, sha256_of};
use crate::disk;
use crate::hub::{Hub, Label, Target, Wanted};
use crate::locate::Located;
use crate::lockfile::Contents;
use crate::progress::Event;

impl Hub {
    /// All models of the catalogue, and those that were fetched by repository; of one task, or of all.
    /// Looks at the disk; reads no weights and asks nobody.
    pub fn list(&self, task: Option<&str>) -> Result<Vec<ModelSummary>> {
        let contents = self.lock.read()?;
        let known = self.registry.models().map(Wanted::of);
        let others = contents.models.iter().filter(|(id, _)| self.registry.get(id).is_none());
        let others = others.filter_map(|(id, locked)| match self.target(locked.task.as_deref(), Some(id)) {
            Ok(Target::Sourced(wanted)) if wanted.id == *id => Some(wanted),
            _ => None,
        });
        let all = known.chain(others).filter(|wanted| task.is_none() || wanted.task.as_deref() == task);
        Ok(all.map(|wanted| self.summary(&wanted, &contents)).collect())
    }

    /// Where models are kept, and whether they may be fetched.
    pub fn cache(&self) -> CacheSummary {
        CacheSummary {
            path: self.options.hf_cache.clone(),
            home: self.options.home.clone(),
            free_bytes: disk::free_bytes(&self.options.hf_cache),
            offline: self.options.offline,
            endpoint: self.options.endpoint.clone(),
        }
    }

    /// One model, with its files.
    pub fn show(&self, name: &str) -> Result<ModelSummary> {
        let wanted = match self.target(None, Some(name))? {
            Target::BuiltIn(spec) => Wanted::of(&spec),
            _ => self.sourced(name)?,
        };
        Ok(self.summary(&wanted, &self.lock.read()?))
    }

    /// Makes sure that a model is here.
    pub fn pull(&self, name: &str, refetch: Refetch) -> Result<PulledModel> {
        let wanted = self.sourced(name)?;
        self.license_accepted(&wanted.id, wanted.license.as_deref(), wanted.noncommercial)?;
        let contents = self.lock.read()?;
        let here = if refetch == Refetch::Missing { self.located(&wanted, &contents) } else { None };
        let (located, received) = match here {
            Some(located) => {
                let (_, digests) = self.checked(&wanted.id, &located)?;
                if !contents.models.contains_key(&wanted.id) {
                    self.pin(&wanted, &located, digests)?;
                }
                (located, 0)
            }
            None => {
                let arrived = self.fetch(&wanted, &contents, refetch == Refetch::Everything)?;
                (arrived.located, arrived.received)
            }
        };
        self.tell(&Event::Ready { model: &wanted.id, source: &located.source });
        let bytes = size_of(&located);
        Ok(PulledModel {
            name: wanted.id,
            source: located.source,
            revision: located.revision,
            path: located.folder,
            received,
            bytes,
        })
    }

    /// Reads every byte of one model, or of all that are here, and compares.
    pub fn verify(&self, name: Option<&str>) -> Result<Vec<VerifiedModel>> {
        let contents = self.lock.read()?;
        let Some(name) = name else {
            let here = self.list(None)?.into_iter().filter(|summary| summary.path.is_some());
            return here.map(|summary| self.verify_one(&self.sourced(&summary.name)?, &contents)).collect();
        };
        Ok(vec![self.verify_one(&self.sourced(name)?, &contents)?])
    }

    fn verify_one(&self, wanted: &Wanted, contents: &Contents) -> Result<VerifiedModel> {
        let located = self.here(wanted, contents)?;
        let mut files = Vec::new();
        for (name, path) in &located.files {
            let bytes = fs::metadata(path).map_or(0, |facts| facts.len());
            self.tell(&Event::Verifying { file: name, bytes });
            let got = sha256_of(path).ok();
            let promise = match located.expected.get(name) {
                Some(digest) => Promise::Sha256(digest.clone()),
                None if located.kind == SourceKind::Hub => promise_of(path),
                None => Promise::Nothing,
            };
            let kept = got.as_ref().map(|sha256| promise.check(path, sha256));
            let check = match (promise, kept) {
                (promise, Some(Ok(Ok(())))) => {
                    FileCheck { path: path.clone(), want: text_of(promise), got, ok: true }
                }
                (_, Some(Ok(Err((want, got))))) => {
                    FileCheck { path: path.clone(), want: Some(want), got: Some(got), ok: false }
                }
                (promise, _) => {
                    FileCheck { path: path.clone(), want: text_of(promise), got: None, ok: false }
                }
            };
            files.push(check);
        }
        Ok(VerifiedModel { name: wanted.id.clone(), ok: files.iter().all(|file| file.ok), files })
    }

    /// Removes a model from the caches. Other revisions of the same repository stay, and so does a
    /// licence that was accepted.
    pub fn rm(&self, name: &str) -> Result<RemovedModel> {
        let wanted = self.sourced(name)?;
        let mut removed = RemovedModel { name: wanted.id.clone(), bytes: 0, paths: Vec::new() };
        // Once per source that it lies here from.
        while let Some(located) = self.located(&wanted, &self.lock.read()?) {
            let failed = |cause: std::io::Error| Error::Output {
                path: located.folder.clone(),
                cause: cause.into(),
                hint: None,
            };
            removed.bytes += size_of(&located);
            match (located.kind, located.source.strip_prefix("hub:"), &located.revision) {
                (SourceKind::Hub, Some(repository), Some(commit)) => {
                    let cached = CachedRepository::new(&self.options.hf_cache, repository);
                    removed.paths.extend(cached.remove(commit).map_err(failed)?);
                }
                _ => {
                    fs::remove_dir_all(&located.folder).map_err(failed)?;
                    removed.paths.push(located.folder.clone());
                }
            }
            self.lock.update(|contents| contents.models.remove(&wanted.id))?;
        }
        if removed.paths.is_empty() {
            return Err(absent(&wanted.id));
        }
        Ok(removed)
    }

    /// The folder of a model that is here.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        match self.target(None, Some(name))? {
            Target::Directory(_, folder) => Ok(folder),
            Target::Sourced(wanted) => Ok(self.here(&wanted, &self.lock.read()?)?.folder),
            Target::BuiltIn(spec) => Err(built_in(&spec.name)),
        }
    }

    fn here(&self, wanted: &Wanted, contents: &Contents) -> Result<Located> {
        self.located(wanted, contents).ok_or_else(|| absent(&wanted.id))
    }

    fn sourced(&self, name: &str) -> Result<Wanted> {
        match self.target(None, Some(name))? {
            Target::Sourced(wanted) => Ok(wanted),
            Target::BuiltIn(spec) => Err(built_in(&spec.name)),
            Target::Directory(..) => Err(Error::Argument {
                message: format!("`{name}` is a folder; percept keeps no models there"),
                hint: Some("a folder is used as it is: `--model DIR`".into()),
            }),
        }
    }

    fn summary(&self, wanted: &Wanted, contents: &Contents) -> ModelSummary {
        let spec = self.registry.get(&wanted.id);
        let located = self.located(wanted, contents);
        let locked = contents.models.get(&wanted.id);
        let files = located.as_ref().map(files_of).unwrap_or_default();
        ModelSummary {
            name: wanted.id.clone(),
            task: wanted.task.clone(),
            architecture: spec.map(|spec| spec.arch.clone()),
            parameters: spec.and_then(|spec| spec.parameters),
            license: wanted.license.clone().or_else(|| locked.and_then(|locked| locked.license.clone())),
            noncommercial: wanted.noncommercial,
            default: spec.is_some_and(|spec| spec.default),
            description: spec.map(|spec| spec.description.clone()).unwrap_or_default(),
            sources: wanted.sources.iter().map(Label::label).collect(),
            here: located.is_some() || spec.is_some_and(|spec| spec.built_in),
            bytes: located.as_ref().map(size_of),
            source: located.as_ref().map(|located| located.source.clone()),
            revision: located.as_ref().and_then(|located| located.revision.clone()),
            path: located.map(|located| located.folder),
            files,
        }
    }
}

fn built_in(id: &str) -> Error {
    Error::Argument {
        message: format!("`{id}` is a part of this program and has no files"),
        hint: Some(format!("use it with `--model {id}`")),
    }
}

fn absent(id: &str) -> Error {
    Error::Argument {
        message: format!("`{id}` is not on this machine"),
        hint: Some(format!("fetch it with `percept models pull {id}`")),
    }
}

fn text_of(promise: Promise) -> Option<String> {
    match promise {
        Promise::Sha256(text) | Promise::GitBlob(text) => Some(text),
        Promise::Nothing => None,
    }
}

fn length_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |facts| facts.len())
}

fn size_of(located: &Located) -> u64 {
    located.files.values().map(|path| length_of(path)).sum()
}

fn files_of(located: &Located) -> Vec<ModelFile> {
    let known: &BTreeMap<String, String> = &located.expected;
    let file = |(name, path): (&String, &PathBuf)| ModelFile {
        name: name.clone(),
        bytes: length_of(path),
        sha256: known.get(name).cloned(),
    };
    located.files.iter().map(file).collect()
}
