//! Files in folders, and files that fit a glob.

use std::fs;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use percept_core::{Error, Result};
use walkdir::{DirEntry, WalkDir};

use super::PlanRequest;

/// The files below a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Paths that begin with the folder as it was typed, in byte order.
    pub(super) files: Vec<PathBuf>,
    /// What could not be listed, and why.
    pub(super) unreadable: Vec<(PathBuf, String)>,
}

/// Which of the files in folders are wanted, by their names.
#[derive(Debug)]
pub(super) struct Wanted {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Wanted {
    pub(super) fn new(request: &PlanRequest<'_>) -> Result<Self> {
        let include = (!request.include.is_empty()).then(|| globs(request.include)).transpose()?;
        Ok(Self { include, exclude: globs(request.exclude)? })
    }

    /// Of a path below its folder.
    pub(super) fn fits(&self, path: &Path) -> bool {
        self.include.as_ref().is_none_or(|globs| globs.is_match(path)) && !self.exclude.is_match(path)
    }
}

/// A glob without a slash is for names at any depth.
fn globs(patterns: &[String]) -> Result<GlobSet> {
    let wrong = |pattern: &str, why: globset::Error| Error::Argument {
        message: format!("`{pattern}` is no glob: {}", why.kind()),
        hint: Some("such as '*.jpg', 'raw/**' or '**/tmp/*'".into()),
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let whole = if pattern.contains('/') { pattern.clone() } else { format!("**/{pattern}") };
        let glob = GlobBuilder::new(whole.trim_start_matches('/')).literal_separator(true).build();
        set.add(glob.map_err(|why| wrong(pattern, why))?);
    }
    set.build().map_err(|why| wrong(&patterns.join("`, `"), why))
}

/// Lists the files below `root` that `accept` takes. Hidden files and folders are left out; so is
/// `except`, the folder that our own outputs go to, where it lies below `root`.
///
/// Links to files and folders are followed. A link to a folder that it stands in is not: that way lies
/// no end. (`walkdir` finds such a link only on the second round, when files were listed twice.)
pub(super) fn folder(root: &Path, except: Option<&Path>, accept: &dyn Fn(&Path) -> bool) -> Found {
    let real_root = fs::canonicalize(root).unwrap_or_default();
    let keep = |entry: &DirEntry| {
        let leave_out = || {
            is_hidden(entry)
                || except.is_some_and(|path| is_folder(entry, path))
                || leads_back(entry, &real_root)
        };
        entry.depth() == 0 || !leave_out()
    };
    collect(WalkDir::new(root), keep, accept)
}

/// Lists the files that fit `pattern`, or `None` where it is no glob. As in a shell, `*` and `?` do not
/// cross folders, `**` does, and hidden files are found only by a pattern that begins a name with a dot.
pub(super) fn glob(pattern: &str) -> Option<Found> {
    if !pattern.contains(['*', '?', '[', '{']) {
        return None;
    }
    let matcher = GlobBuilder::new(pattern).literal_separator(true).build().ok()?.compile_matcher();
    let (root, rest) = literal_folder(pattern);
    let hidden = rest.split(std::path::is_separator).any(|name| name.starts_with('.'));
    let depth = if rest.contains("**") { usize::MAX } else { rest.split(std::path::is_separator).count() };
    let start = if root.is_empty() { Path::new(".") } else { Path::new(root) };
    let keep = |entry: &DirEntry| entry.depth() == 0 || hidden || !is_hidden(entry);
    let fits = |path: &Path| matcher.is_match(path);
    Some(collect(WalkDir::new(start).max_depth(depth), keep, &fits))
}

/// Splits a pattern before its first component that is no plain name.
fn literal_folder(pattern: &str) -> (&str, &str) {
    let meta = pattern.find(['*', '?', '[', '{', '\\']).unwrap_or(pattern.len());
    let end = pattern[..meta].rfind(std::path::is_separator).map_or(0, |at| at + 1);
    pattern.split_at(end)
}

fn collect(walk: WalkDir, keep: impl Fn(&DirEntry) -> bool, accept: &dyn Fn(&Path) -> bool) -> Found {
    let mut found = Found::default();
    for entry in walk.follow_links(true).into_iter().filter_entry(keep) {
        match entry {
            // A pipe or a device in a folder might never end.
            Ok(entry) if !entry.file_type().is_file() => {}
            Ok(entry) => {
                let path = without_dot(entry.into_path());
                if accept(&path) {
                    found.files.push(path);
                }
            }
            Err(error) if error.loop_ancestor().is_some() => {}
            Err(error) => {
                let path = without_dot(error.path().unwrap_or(Path::new("")).to_owned());
                // A link that leads nowhere matters only where it would have been taken.
                let link = fs::symlink_metadata(&path).is_ok_and(|entry| entry.is_symlink());
                if !link || accept(&path) {
                    found.unreadable.push((path, why(&error)));
                }
            }
        }
    }
    found
        .files
        .sort_unstable_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    found.unreadable.sort_unstable();
    found
}

/// The system's reason, without the path, which stands beside it.
fn why(error: &walkdir::Error) -> String {
    error.io_error().map_or_else(|| error.to_string(), ToString::to_string)
}

/// The files of `.` are `a.wav`, not `./a.wav`: that is how a person would name them.
fn without_dot(path: PathBuf) -> PathBuf {
    match path.strip_prefix(".") {
        Ok(rest) if !rest.as_os_str().is_empty() => rest.to_owned(),
        _ => path,
    }
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// Whether this is a link to a folder that holds the link itself, or holds the whole walk.
fn leads_back(entry: &DirEntry, real_root: &Path) -> bool {
    if !entry.path_is_symlink() || !entry.file_type().is_dir() {
        return false;
    }
    let Ok(target) = fs::canonicalize(entry.path()) else { return false };
    let parent = entry.path().parent().and_then(|path| fs::canonicalize(path).ok());
    real_root.starts_with(&target) || parent.is_some_and(|parent| parent.starts_with(&target))
}

fn is_folder(entry: &DirEntry, folder: &Path) -> bool {
    // The name is compared first: asking the system about every entry would be slow.
    entry.file_type().is_dir()
        && folder.file_name() == Some(entry.file_name())
        && fs::canonicalize(entry.path()).is_ok_and(|path| path == folder)
}
