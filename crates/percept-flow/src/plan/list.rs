//! From what was typed to the list of inputs.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use percept_core::{Error, Result};

use super::walk::{self, Found, Wanted};
use super::{FilesFrom, InputSource, ListSource, PlanRequest, Separator, native};

/// An input and where it belongs below an output folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) input: InputSource,
    /// The folder of its outputs, relative to that of `-o`. Empty for a file that was named.
    pub(super) folder: PathBuf,
}

/// All inputs.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) entries: Vec<Entry>,
    pub(super) unreadable: Vec<(PathBuf, String)>,
    /// Whether one file, or stdin, was typed and nothing else. A folder, a glob or a list with one file
    /// in it does not count: where outputs go must not depend on what is found.
    pub(super) single: bool,
}

/// An argument or a line of a list.
struct Named {
    path: PathBuf,
    /// Whether it may be a glob or `-`.
    typed: bool,
}

pub(super) fn list(request: &PlanRequest<'_>) -> Result<Listing> {
    let mut names: Vec<Named> =
        request.inputs.iter().map(|input| Named { path: input.into(), typed: true }).collect();
    if let Some(from) = &request.files_from {
        let stdin_twice = from.source == ListSource::Stdin && names.iter().any(|name| is_stdin(&name.path));
        if stdin_twice {
            return Err(Error::argument("stdin cannot be both an input and the list of inputs"));
        }
        names.extend(read_list(from)?.into_iter().map(|path| Named { path, typed: false }));
    }
    Lister::new(request, &names)?.list(&names)
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

struct Lister<'a> {
    request: &'a PlanRequest<'a>,
    wanted: Wanted,
    /// Whether several folders are given, so that each keeps its name below `-o`.
    several_folders: bool,
    /// The folder of `-o`, where it exists: it holds outputs, so no walk enters it.
    except: Option<PathBuf>,
    seen: HashSet<InputSource>,
    listing: Listing,
}

impl<'a> Lister<'a> {
    fn new(request: &'a PlanRequest<'a>, names: &[Named]) -> Result<Self> {
        Ok(Self {
            request,
            wanted: Wanted::new(request)?,
            several_folders: names.iter().filter(|name| name.path.is_dir()).count() > 1,
            except: request.output.as_ref().and_then(|path| fs::canonicalize(path).ok()),
            seen: HashSet::new(),
            listing: Listing::default(),
        })
    }

    fn list(mut self, names: &[Named]) -> Result<Listing> {
        let only = matches!(names, [name] if name.typed);
        for name in names {
            self.name(name, only)?;
        }
        let Listing { entries, unreadable, .. } = &self.listing;
        match (entries.is_empty(), unreadable.first()) {
            (true, Some((path, why))) if unreadable.len() == 1 => Err(Error::input(path, why.clone())),
            (true, None) => Err(nothing(names)),
            _ => Ok(self.listing),
        }
    }

    fn name(&mut self, name: &Named, only: bool) -> Result<()> {
        if name.typed && is_stdin(&name.path) {
            self.listing.single = only;
            return if self.add(InputSource::Stdin, PathBuf::new()) {
                Ok(())
            } else {
                Err(Error::argument("stdin (`-`) is named twice"))
            };
        }
        match fs::metadata(&name.path) {
            Ok(metadata) if metadata.is_dir() => self.folder(&name.path),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let pattern = if name.typed { name.path.to_str() } else { None };
                match pattern.and_then(walk::glob) {
                    Some(found) if !found.files.is_empty() => self.found(found, |_| PathBuf::new()),
                    _ if only => return Err(Error::input(&name.path, error)),
                    // It fails when its turn comes, and the others are done.
                    _ => drop(self.add(InputSource::Path(name.path.clone()), PathBuf::new())),
                }
            }
            _ => {
                self.listing.single = only;
                self.add(InputSource::Path(name.path.clone()), PathBuf::new());
            }
        }
        Ok(())
    }

    fn folder(&mut self, root: &Path) {
        let request = self.request;
        let accept = |path: &Path| {
            !is_own_output(path, request.own_outputs)
                && (request.accept)(path)
                && self.wanted.fits(path.strip_prefix(root).unwrap_or(path))
        };
        let found = walk::folder(root, self.except.as_deref(), &accept);
        let base = if self.several_folders { own_name(root) } else { PathBuf::new() };
        self.found(found, |path| {
            let inside = path.strip_prefix(root).unwrap_or(path);
            inside.parent().map_or_else(|| base.clone(), |parent| base.join(parent))
        });
    }

    fn found(&mut self, found: Found, folder: impl Fn(&Path) -> PathBuf) {
        for path in found.files {
            let folder = folder(&path);
            self.add(InputSource::Path(path), folder);
        }
        self.listing.unreadable.extend(found.unreadable);
    }

    /// Whether it is new.
    fn add(&mut self, input: InputSource, folder: PathBuf) -> bool {
        // `Path` compares by component: `a//b` and `a/./b` are `a/b`.
        let new = self.seen.insert(input.clone());
        if new {
            self.listing.entries.push(Entry { input, folder });
        }
        new
    }
}

/// `photo.segment.png`: made by one of `tasks`.
fn is_own_output(path: &Path, tasks: &[&str]) -> bool {
    let mut name = path.file_stem().map(Path::new);
    // `photo.segment.overlay.png` too: a task may write several pictures of one kind.
    while let Some(task) = name.and_then(Path::extension) {
        if tasks.iter().any(|own| OsStr::new(own) == task) {
            return true;
        }
        name = name.and_then(Path::file_stem).map(Path::new);
    }
    false
}

/// The last component of a folder, also of `.` and `..`; empty for the root of the file system.
fn own_name(folder: &Path) -> PathBuf {
    let whole = if folder.file_name().is_some() { None } else { fs::canonicalize(folder).ok() };
    whole.as_deref().unwrap_or(folder).file_name().map(PathBuf::from).unwrap_or_default()
}

fn nothing(names: &[Named]) -> Error {
    match names {
        [] => Error::argument("no input is given"),
        [name] => Error::Argument {
            message: format!("`{}` has no file to work on", name.path.display()),
            hint: Some("hidden files are left out; a file that is named itself is always taken".into()),
        },
        _ => Error::argument("the folders that were given have no file to work on"),
    }
}

/// The entries of a list.
fn read_list(from: &FilesFrom) -> Result<Vec<PathBuf>> {
    let (name, bytes) = match &from.source {
        ListSource::Stdin => (Path::new("-"), read_all(io::stdin().lock())),
        ListSource::File(path) => (path.as_path(), fs::File::open(path).and_then(read_all)),
    };
    split_list(bytes.map_err(|error| Error::input(name, error))?, from.separator)
}

fn read_all(mut source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn split_list(bytes: Vec<u8>, separator: Separator) -> Result<Vec<PathBuf>> {
    let end = match separator {
        Separator::Line => b'\n',
        Separator::Zero => 0,
    };
    let mut paths = Vec::new();
    for entry in bytes.as_slice().split(|byte| *byte == end) {
        let entry = match separator {
            Separator::Line => entry.strip_suffix(b"\r").unwrap_or(entry),
            Separator::Zero => entry,
        };
        if !entry.is_empty() {
            paths.push(native::os_string(entry.to_vec())?.into());
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_at_lines_or_zeros() {
        let lines = split_list(b"a b.wav\n\nc.wav\r\nd\n".to_vec(), Separator::Line).unwrap();
        assert_eq!(lines, ["a b.wav", "c.wav", "d"].map(PathBuf::from));
        let zeros = split_list(b"a\nb.wav\0c.wav\r\0".to_vec(), Separator::Zero).unwrap();
        assert_eq!(zeros, ["a\nb.wav", "c.wav\r"].map(PathBuf::from));
    }

    #[test]
    fn own_outputs_are_known_by_the_task_in_their_name() {
        let tasks = ["segment", "depth"];
        assert!(is_own_output(Path::new("x/photo.segment.png"), &tasks));
        assert!(is_own_output(Path::new("x/photo.segment.overlay.png"), &tasks));
        assert!(!is_own_output(Path::new("x/photo.png"), &tasks));
        assert!(!is_own_output(Path::new("segment.png"), &tasks));
        assert!(!is_own_output(Path::new("x.segments.png"), &tasks));
    }
}
