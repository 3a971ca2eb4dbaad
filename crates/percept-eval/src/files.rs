//! Which file is compared with which.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use percept_core::{Error, Result};
use walkdir::WalkDir;

/// What is true, and what was answered.
pub(crate) struct Pair {
    pub(crate) truth: PathBuf,
    pub(crate) result: PathBuf,
}

/// A name that a file gives for a picture, without folders, whichever system wrote it.
pub(crate) fn bare(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

/// The text of a file.
pub(crate) fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| Error::input(path, error))
}

/// The files of a folder, and of those in it, that have an extension.
///
/// # Errors
/// [`Error::Input`]: what cannot be listed. [`Error::Argument`]: there is none.
pub(crate) fn all(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let files = by_name(folder, &[extension], Alike::Path)?;
    match files.is_empty() {
        true => Err(Error::argument(format!("`{}` has no .{extension} file", folder.display()))),
        false => Ok(files.into_values().collect()),
    }
}

/// How files of two folders belong together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alike {
    /// By their paths in the folders.
    Path,
    /// By their paths in the folders without extensions.
    Stem,
}

/// Two files, or the files of two folders, by name. Only files with one of the extensions count; of several with one stem,
/// that whose extension comes first.
///
/// # Errors
/// [`Error::Argument`]: a folder and a file; a file of one folder that the other does not have; nothing at all.
/// [`Error::Input`]: what cannot be listed.
pub(crate) fn pairs(truth: &Path, results: &Path, extensions: &[&str], alike: Alike) -> Result<Vec<Pair>> {
    match (truth.is_dir(), results.is_dir()) {
        (false, false) => return Ok(vec![Pair { truth: truth.into(), result: results.into() }]),
        (true, true) => {}
        (folder, _) => {
            let (folder, file) = if folder { (truth, results) } else { (results, truth) };
            // A path that is not there is told so, and not taken for a file.
            std::fs::metadata(file).map_err(|error| Error::input(file, error))?;
            return Err(Error::Argument {
                message: format!("`{}` is a folder, and `{}` is a file", folder.display(), file.display()),
                hint: Some("truth and results are two files, or two folders".into()),
            });
        }
    }
    let (said, mut heard) = (by_name(truth, extensions, alike)?, by_name(results, extensions, alike)?);
    let mut pairs = Vec::with_capacity(said.len());
    let mut missing = Vec::new();
    for (name, path) in said {
        match heard.remove(&name) {
            Some(result) => pairs.push(Pair { truth: path, result }),
            None => missing.push(name),
        }
    }
    if pairs.is_empty() && missing.is_empty() {
        return Err(Error::Argument {
            message: format!("`{}` has no file to compare with", truth.display()),
            hint: Some(format!("files that count end in {}", extensions.join(", "))),
        });
    }
    let lacks = |folder: &Path, names: &[String], hint: &str| Error::Argument {
        message: format!(
            "`{}` does not have {}",
            folder.display(),
            names.iter().take(5).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
                + &if names.len() > 5 { format!(" and {} more", names.len() - 5) } else { String::new() }
        ),
        hint: Some(hint.into()),
    };
    if !missing.is_empty() {
        return Err(lacks(results, &missing, "every file of the truth needs a result of the same name"));
    }
    let extra: Vec<String> = heard.into_keys().collect();
    if !extra.is_empty() {
        return Err(lacks(truth, &extra, "every result needs a truth of the same name"));
    }
    Ok(pairs)
}

/// The files of a folder, and of those in it, by name.
///
/// # Errors
/// [`Error::Input`]: what cannot be listed.
pub(crate) fn by_name(folder: &Path, extensions: &[&str], alike: Alike) -> Result<BTreeMap<String, PathBuf>> {
    let mut files: BTreeMap<String, (usize, PathBuf)> = BTreeMap::new();
    for entry in WalkDir::new(folder).follow_links(true) {
        let entry = entry.map_err(|error| Error::input(folder, error))?;
        let path = entry.path();
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let rank = extensions.iter().position(|known| *known == extension);
        let (Some(rank), true) = (rank, entry.file_type().is_file()) else { continue };
        let inside = path.strip_prefix(folder).unwrap_or(path);
        let name = match alike {
            Alike::Path => inside.to_owned(),
            Alike::Stem => inside.with_extension(""),
        };
        let name = name.to_string_lossy().into_owned();
        if files.get(&name).is_none_or(|(known, _)| rank < *known) {
            files.insert(name, (rank, path.to_owned()));
        }
    }
    Ok(files.into_iter().map(|(name, (_, path))| (name, path)).collect())
}
