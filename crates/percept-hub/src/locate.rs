//! What is here already, without asking anybody and without reading a byte of weights.

use std::collections::BTreeMap;
use std::path::PathBuf;

use percept_core::{Source, SourceKind};

use crate::cache::CachedRepository;
use crate::hub::{Hub, Label, Wanted};
use crate::lockfile::{Contents, Locked};
use crate::package::Package;
use crate::reference::is_commit;
use crate::snapshot::files_in;

/// A model whose files are all here; their content has not been looked at.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) kind: SourceKind,
    pub(crate) source: String,
    pub(crate) revision: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) folder: PathBuf,
    pub(crate) files: BTreeMap<String, PathBuf>,
    /// SHA-256 by file name, where it is known.
    pub(crate) expected: BTreeMap<String, String>,
}

impl Hub {
    /// Looks into the caches; asks nobody.
    pub(crate) fn located(&self, wanted: &Wanted, contents: &Contents) -> Option<Located> {
        let locked = contents.models.get(&wanted.id);
        let from_lock = locked.and_then(|locked| self.locked_files(wanted, locked));
        // Another commit than the pinned one, which another tool fetched, is no stand-in for it: the
        // same command would give another result. Without a network it is better than nothing.
        let stands_in = |found: &Located| {
            self.options.offline
                || locked.is_none_or(|locked| {
                    locked.source != found.source || found.revision.as_ref() == Some(&locked.revision)
                })
        };
        from_lock.or_else(|| {
            wanted.sources.iter().find_map(|source| self.cached_files(wanted, source).filter(stands_in))
        })
    }

    /// The files that the lock file pins, if they are all here and the catalogue pins no others.
    fn locked_files(&self, wanted: &Wanted, locked: &Locked) -> Option<Located> {
        let repinned = wanted.sources.iter().any(|source| {
            source.label() == locked.source
                && source.revision.as_deref().is_some_and(|pin| is_commit(pin) && pin != locked.revision)
        });
        let folder = match locked.kind {
            _ if repinned => return None,
            SourceKind::Hub => {
                let repository = locked.source.strip_prefix("hub:")?;
                CachedRepository::new(&self.options.hf_cache, repository).snapshot(&locked.revision)
            }
            SourceKind::Package => {
                let source = wanted.sources.iter().find(|source| source.label() == locked.source)?;
                Package::new(&self.options.home, source, source.package.as_ref()?).folder().to_owned()
            }
            SourceKind::Directory | SourceKind::BuiltIn => return None,
        };
        let files: BTreeMap<_, _> =
            locked.files.keys().map(|name| (name.clone(), folder.join(name))).collect();
        files.values().all(|path| path.is_file()).then(|| Located {
            kind: locked.kind,
            source: locked.source.clone(),
            revision: Some(locked.revision.clone()),
            license: wanted.license.clone().or_else(|| locked.license.clone()),
            folder,
            files,
            expected: locked.files.iter().map(|(name, file)| (name.clone(), file.sha256.clone())).collect(),
        })
    }

    /// What is here of a source without our having fetched it.
    fn cached_files(&self, wanted: &Wanted, source: &Source) -> Option<Located> {
        let located = |kind, revision: String, folder: PathBuf, files| Located {
            kind,
            source: source.label(),
            revision: Some(revision),
            license: wanted.license.clone(),
            folder,
            files,
            expected: source.sha256.clone(),
        };
        if let Some(repository) = &source.hub {
            let cached = CachedRepository::new(&self.options.hf_cache, repository);
            let commit = cached.commit_of(source.revision.as_deref().unwrap_or("main"))?;
            let folder = cached.snapshot(&commit);
            let files = files_in(&wanted.id, &folder).ok()?;
            // Another tool may have fetched the weights alone. Offline, a part is better than nothing.
            let complete = self.options.offline || source.files.iter().all(|file| files.contains_key(file));
            return complete.then(|| located(SourceKind::Hub, commit, folder, files));
        }
        let described = source.package.as_ref()?;
        let package = Package::new(&self.options.home, source, described);
        package.is_here().then(|| {
            let folder = package.folder().to_owned();
            let files = source.files.iter().map(|file| (file.clone(), folder.join(file))).collect();
            located(SourceKind::Package, described.version.clone(), folder, files)
        })
    }
}
