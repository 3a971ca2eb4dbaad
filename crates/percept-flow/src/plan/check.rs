//! What would lose data is refused, with the names.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use percept_core::{Error, Result};

use super::list::Entry;
use super::name::file;
use super::output::OutputTarget;
use super::{Existing, InputSource, Item};

/// How many names an error lists before it counts the rest.
const LISTED: usize = 10;

/// Two inputs that would be written to one file, whatever the rule calls it.
pub(super) fn refuse_collisions(
    entries: &[Entry],
    outputs: &[Vec<OutputTarget>],
    shared: &[Vec<usize>],
) -> Result<()> {
    if shared.is_empty() {
        return Ok(());
    }
    let lines = shared.iter().map(|owners| {
        let names: Vec<String> =
            owners.iter().map(|&index| format!("`{}`", entries[index].input.path().display())).collect();
        let path = outputs[owners[0]].iter().find_map(file).unwrap_or(Path::new("-"));
        format!("`{}` from {}", path.display(), names.join(" and "))
    });
    Err(Error::Argument {
        message: format!("several inputs would be written to one file:\n{}", listed(lines)),
        hint: Some("use a template that tells them apart, such as `-o 'out/{//}/{/}.out'`".into()),
    })
}

/// Outputs that are inputs, that exist, or that are folders.
pub(super) fn check(items: &[Item], existing: Existing) -> Result<()> {
    let mut places = PlaceOf::default();
    let inputs: HashSet<OsString> = items
        .iter()
        .filter_map(|item| match &item.input {
            InputSource::Path(path) => Some(places.of(path)),
            InputSource::Stdin => None,
        })
        .collect();
    let outputs = || items.iter().flat_map(|item| &item.outputs);
    let files = || outputs().filter_map(file);

    let own: Vec<&Path> = files().filter(|path| inputs.contains(&places.of(path))).collect();
    if !own.is_empty() {
        return Err(Error::Argument {
            message: format!("an output would replace an input:\n{}", listed(quoted(&own))),
            hint: Some("choose another name or folder with `-o`".into()),
        });
    }
    let is_file = |output: &&OutputTarget| !matches!(output, OutputTarget::Folder(_));
    let folders: Vec<&Path> =
        outputs().filter(is_file).filter_map(file).filter(|path| path.is_dir()).collect();
    if !folders.is_empty() {
        return Err(Error::argument(format!("an output is a folder:\n{}", listed(quoted(&folders)))));
    }
    if existing == Existing::Refuse {
        // Not `exists`: a link that leads nowhere would be replaced too.
        let there: Vec<&Path> = files().filter(|path| fs::symlink_metadata(path).is_ok()).collect();
        if !there.is_empty() {
            return Err(Error::Argument {
                message: format!("an output exists already:\n{}", listed(quoted(&there))),
                hint: Some("`--resume` goes on with a run, `-y` replaces existing files".into()),
            });
        }
    }
    Ok(())
}

fn quoted<'a>(paths: &'a [&Path]) -> impl ExactSizeIterator<Item = String> + 'a {
    paths.iter().map(|path| format!("`{}`", path.display()))
}

fn listed(lines: impl ExactSizeIterator<Item = String>) -> String {
    let more = lines.len().saturating_sub(LISTED);
    let mut text: Vec<String> = lines.take(LISTED).map(|line| format!("  {line}")).collect();
    if more > 0 {
        text.push(format!("  and {more} more"));
    }
    text.join("\n")
}

/// Where paths really are, so that two spellings of one place are found equal. Folders are remembered:
/// a hundred thousand files stand in few.
#[derive(Default)]
pub(super) struct PlaceOf {
    folders: HashMap<PathBuf, PathBuf>,
}

impl PlaceOf {
    /// The one spelling of a path: links in it are resolved, and so is a link that it names, because
    /// `percept_core::write` follows it.
    pub(super) fn of(&mut self, path: &Path) -> OsString {
        if fs::symlink_metadata(path).is_ok_and(|entry| entry.is_symlink())
            && let Ok(real) = fs::canonicalize(path)
        {
            return fold_case(real.into_os_string());
        }
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            return absolute.into_os_string();
        };
        let folder = self.folders.entry(parent.to_owned()).or_insert_with(|| resolved(parent));
        fold_case(folder.join(name).into_os_string())
    }
}

/// `canonicalize` for a folder that may not exist yet: what exists of it is resolved, the rest is taken
/// as it is spelled.
fn resolved(folder: &Path) -> PathBuf {
    let mut place = PathBuf::new();
    for component in folder.components() {
        match component {
            Component::ParentDir => drop(place.pop()),
            Component::CurDir => {}
            _ => place.push(component),
        }
        if let Ok(real) = fs::canonicalize(&place) {
            place = real;
        }
    }
    place
}

/// Where file systems usually take `A.srt` and `a.srt` for one file, so do we.
fn fold_case(path: OsString) -> OsString {
    if cfg!(any(target_os = "macos", windows)) { path.to_string_lossy().to_lowercase().into() } else { path }
}
