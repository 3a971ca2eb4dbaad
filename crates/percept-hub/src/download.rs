//! One file from the Hub into the cache: resumed where it was cut, counted, hashed, then renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::cache::CachedRepository;
use crate::digest::{Promise, feed, hex, sha256_of};
use crate::disk;
use crate::failure::Failure;
use crate::http::{Client, Reply};
use crate::progress::Event;
use crate::remote::{Facts, facts, file_url, refusal, text_of};

/// What is fetched, and where it goes.
pub(crate) struct Download<'a> {
    pub(crate) client: &'a Client,
    pub(crate) cached: &'a CachedRepository,
    pub(crate) repository: &'a str,
    pub(crate) commit: &'a str,
    pub(crate) file: &'a str,
    /// The digest that the catalogue or the lock file knows.
    pub(crate) sha256: Option<&'a str>,
    pub(crate) tell: &'a dyn Fn(&Event<'_>),
}

/// A file that arrived, or was there.
pub(crate) struct Fetched {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    /// How many bytes came over the network.
    pub(crate) received: u64,
}

/// The bytes that have arrived, and their digest so far.
struct Partial {
    path: PathBuf,
    file: File,
    length: u64,
    hasher: Sha256,
}

impl Download<'_> {
    /// Fetches the file unless its blob is here and whole.
    pub(crate) fn run(&self) -> Result<Fetched, Failure> {
        let mut restarted = false;
        loop {
            let facts = facts(self.client, self.repository, self.commit, self.file, self.tell)?;
            let incomplete = self.cached.incomplete(&facts.etag);
            let lock = self.cached.lock(&facts.etag);
            let _guard = disk::lock(&lock, || (self.tell)(&Event::Waiting { file: self.file }))
                .map_err(|error| Failure::disk(&lock, 0, error))?;
            let resumed = fs::metadata(&incomplete).is_ok_and(|facts| facts.len() > 0);
            match self.blob(&facts) {
                // What lay here from an earlier run may have been another file, or damaged: once more,
                // from the first byte.
                Err(Failure::SizeChanged { .. }) | Err(Failure::Corrupt { .. }) if resumed && !restarted => {
                    restarted = true;
                }
                Err(Failure::SizeChanged { .. }) if !restarted => restarted = true,
                Err(failure) => return Err(failure),
                Ok((sha256, size, received)) => {
                    let path = self.cached.link(self.commit, self.file, &facts.etag);
                    let path =
                        path.map_err(|error| Failure::disk(self.cached.snapshot(self.commit), 0, error))?;
                    (self.tell)(&Event::Finished { file: self.file });
                    return Ok(Fetched { path, size, sha256, received });
                }
            }
        }
    }

    /// Makes sure of the blob: its SHA-256, its length, and the bytes received.
    fn blob(&self, facts: &Facts) -> Result<(String, u64, u64), Failure> {
        let blob = self.cached.blob(&facts.etag);
        if let Ok(length) = fs::metadata(&blob).map(|facts| facts.len()) {
            (self.tell)(&Event::Verifying { file: self.file, bytes: length });
            let sha256 = sha256_of(&blob).map_err(|error| Failure::disk(&blob, 0, error))?;
            // A blob that is not what it promises is of no use to any tool.
            if facts.size.is_none_or(|size| size == length) && self.check(facts, &blob, &sha256).is_ok() {
                return Ok((sha256, length, 0));
            }
            fs::remove_file(&blob).map_err(|error| Failure::disk(&blob, 0, error))?;
        }
        let incomplete = self.cached.incomplete(&facts.etag);
        let mut partial = Partial::open(incomplete, facts, self)?;
        let before = partial.length;
        self.fill(&mut partial, facts)?;
        let sha256 = hex(partial.hasher.clone().finalize());
        if let Err(failure) = self.check(facts, &partial.path, &sha256) {
            let _ = fs::remove_file(&partial.path);
            return Err(failure);
        }
        let Partial { path, file, length, .. } = partial;
        // Later loads trust length and time: the bytes have to be on the disk before the name is.
        file.sync_all().map_err(|error| Failure::disk(&path, 0, error))?;
        drop(file);
        fs::rename(&path, &blob).map_err(|error| Failure::disk(&blob, 0, error))?;
        Ok((sha256, length, length.saturating_sub(before)))
    }

    /// Asks until the file is whole, as long as each attempt brings something or the limit is not reached.
    fn fill(&self, partial: &mut Partial, facts: &Facts) -> Result<(), Failure> {
        let mut tried = 1;
        (self.tell)(&Event::Started { file: self.file, resumed: partial.length, total: facts.size });
        loop {
            let before = partial.length;
            let failure = match self.attempt(partial, facts) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if partial.length > before {
                tried = 1;
            }
            // A network that was there a moment ago may come back; one that never was will not.
            let passing = failure.is_passing()
                || (partial.length > 0 && matches!(failure, Failure::Unreachable { .. }));
            if !passing || tried >= self.client.limits.attempts {
                if matches!(failure, Failure::SizeChanged { .. }) {
                    let _ = fs::remove_file(&partial.path);
                }
                return Err(failure);
            }
            self.client.pause(self.file, self.tell, &failure, tried)?;
            tried += 1;
        }
    }

    /// One request, and as much of its body as comes.
    fn attempt(&self, partial: &mut Partial, facts: &Facts) -> Result<(), Failure> {
        if facts.size.is_some_and(|size| size == partial.length)
            && (partial.length > 0 || facts.size == Some(0))
        {
            return Ok(());
        }
        let url = file_url(self.client, self.repository, self.commit, self.file);
        let mut reply = self.client.get(&url, partial.length)?;
        match reply.status {
            206 if partial.length > 0 => self.check_range(&reply, partial.length, facts)?,
            200 => partial.restart()?,
            416 => return Err(self.size_changed(facts, "shorter".into())),
            _ => return Err(refusal(self.client, &reply, self.repository, self.commit, Some(self.file))),
        }
        let rest = text_of(&reply.headers, "content-length").and_then(|text| text.parse::<u64>().ok());
        if let (Some(rest), Some(size)) = (rest, facts.size)
            && partial.length + rest != size
        {
            return Err(self.size_changed(facts, (partial.length + rest).to_string()));
        }
        self.receive(&mut reply, partial, facts)
    }

    fn receive(&self, reply: &mut Reply, partial: &mut Partial, facts: &Facts) -> Result<(), Failure> {
        let host = reply.host.clone();
        let mut body = reply.body.as_reader();
        let mut buffer = vec![0; 256 << 10];
        loop {
            let count = match body.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::Cut { host, reason: error.to_string() }),
            };
            if count == 0 {
                return match facts.size {
                    Some(size) if partial.length < size => {
                        let reason = format!("{} of {size} bytes arrived", partial.length);
                        Err(Failure::Cut { host, reason })
                    }
                    _ => Ok(()),
                };
            }
            let length = partial.length + count as u64;
            if facts.size.is_some_and(|size| length > size) {
                return Err(self.size_changed(facts, "longer".into()));
            }
            partial.append(&buffer[..count], facts)?;
            (self.tell)(&Event::Bytes { file: self.file, done: partial.length, total: facts.size });
        }
    }

    /// `Content-Range: bytes <from>-<to>/<total>` has to go on exactly where we are.
    fn check_range(&self, reply: &Reply, from: u64, facts: &Facts) -> Result<(), Failure> {
        let text = text_of(&reply.headers, "content-range").unwrap_or_default();
        let range = text.strip_prefix("bytes ").and_then(|range| range.split_once('/'));
        let Some((range, total)) = range else {
            return Err(Failure::Protocol {
                host: reply.host.clone(),
                what: format!("`Content-Range: {text}`"),
            });
        };
        if let (Ok(total), Some(size)) = (total.parse::<u64>(), facts.size)
            && total != size
        {
            return Err(self.size_changed(facts, total.to_string()));
        }
        match range.split_once('-').and_then(|(start, _)| start.parse::<u64>().ok()) {
            Some(start) if start == from => Ok(()),
            _ => {
                Err(Failure::Protocol { host: reply.host.clone(), what: format!("`Content-Range: {text}`") })
            }
        }
    }

    fn size_changed(&self, facts: &Facts, now: String) -> Failure {
        Failure::SizeChanged { file: self.file.to_owned(), was: facts.size.unwrap_or_default(), now }
    }

    /// Digest and length against all that is known of them.
    fn check(&self, facts: &Facts, path: &Path, sha256: &str) -> Result<(), Failure> {
        let blob = self.cached.blob(&facts.etag);
        let promises =
            [Some(facts.promise.clone()), self.sha256.map(|digest| Promise::Sha256(digest.to_owned()))];
        for promise in promises.into_iter().flatten() {
            let kept = promise.check(path, sha256).map_err(|error| Failure::disk(path, 0, error))?;
            if let Err((want, got)) = kept {
                return Err(Failure::Corrupt { path: blob, want, got });
            }
        }
        Ok(())
    }
}

impl Partial {
    /// Opens what arrived earlier. It is used only where the digest will tell whether it fits.
    fn open(path: PathBuf, facts: &Facts, download: &Download<'_>) -> Result<Self, Failure> {
        let failed = |error| Failure::disk(&path, 0, error);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let usable = facts.promise != Promise::Nothing && facts.size.is_some_and(|size| length <= size);
        let mut hasher = Sha256::new();
        if !usable || length == 0 {
            let mut partial = Self { path: path.clone(), file, length: 0, hasher };
            partial.restart()?;
            return Ok(partial);
        }
        (download.tell)(&Event::Verifying { file: download.file, bytes: length });
        feed(&mut file, |bytes| hasher.update(bytes)).map_err(failed)?;
        Ok(Self { path, file, length, hasher })
    }

    /// Forgets what arrived.
    fn restart(&mut self) -> Result<(), Failure> {
        use std::io::Seek;
        if self.length > 0 || self.file.metadata().is_ok_and(|facts| facts.len() > 0) {
            self.file.set_len(0).map_err(|error| Failure::disk(&self.path, 0, error))?;
        }
        self.file.rewind().map_err(|error| Failure::disk(&self.path, 0, error))?;
        self.length = 0;
        self.hasher = Sha256::new();
        Ok(())
    }

    fn append(&mut self, bytes: &[u8], facts: &Facts) -> Result<(), Failure> {
        let needed = facts.size.unwrap_or_default().saturating_sub(self.length);
        self.file.write_all(bytes).map_err(|error| Failure::disk(&self.path, needed, error))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }
}
