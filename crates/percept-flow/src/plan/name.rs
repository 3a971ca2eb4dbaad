//! Every item's outputs.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use percept_core::Result;

use super::check::{PlaceOf, refuse_collisions};
use super::list::Entry;
use super::target::Target;
use super::{Format, FormatKind, InputSource, Item, Naming, OutputTarget, PlanRequest, native};

/// What an input's outputs are called by the task's own rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// `a.srt` for `a.wav`.
    Stem,
    /// `a.wav.srt`, because `a.mp3` is here too.
    FullName,
}

/// Gives every entry its outputs, or refuses where two share one whatever they are called.
pub(super) fn settle(request: &PlanRequest<'_>, target: &Target, entries: Vec<Entry>) -> Result<Vec<Item>> {
    let mut styles = vec![Style::Stem; entries.len()];
    let by_rule = matches!(
        target,
        Target::TextToStdout | Target::Beside | Target::Folder(_) | Target::FolderTemplate(_)
    );
    let mut places = PlaceOf::default();
    loop {
        let outputs: Vec<Vec<OutputTarget>> = entries
            .iter()
            .zip(&styles)
            .map(|(entry, style)| outputs(request, target, entry, *style))
            .collect();
        let mut owners: HashMap<OsString, Vec<usize>> = HashMap::new();
        for (index, outputs) in outputs.iter().enumerate() {
            for path in outputs.iter().filter_map(file) {
                owners.entry(places.of(path)).or_default().push(index);
            }
        }
        let mut shared: Vec<Vec<usize>> = owners.into_values().filter(|owners| owners.len() > 1).collect();
        shared.sort_unstable();
        // A full name may be another's stem (`a.wav.srt` is the stem name of `a.wav.mp3`), so this is
        // repeated until nothing changes. Every round promotes somebody: it ends.
        let mut promoted = false;
        for &index in shared.iter().flatten() {
            if by_rule && styles[index] == Style::Stem {
                styles[index] = Style::FullName;
                promoted = true;
            }
        }
        if promoted {
            continue;
        }
        refuse_collisions(&entries, &outputs, &shared)?;
        let items = entries.into_iter().zip(outputs).enumerate();
        return Ok(items
            .map(|(index, (entry, outputs))| Item { index, input: entry.input, outputs })
            .collect());
    }
}

/// The path of an output that would be replaced.
pub(super) fn file(output: &OutputTarget) -> Option<&Path> {
    match output {
        OutputTarget::File(path) | OutputTarget::Folder(path) => Some(path),
        OutputTarget::Stdout | OutputTarget::Stream(_) => None,
    }
}

fn outputs(request: &PlanRequest<'_>, target: &Target, entry: &Entry, style: Style) -> Vec<OutputTarget> {
    // What stdin is called where a name is needed.
    let input = match &entry.input {
        InputSource::Path(path) => path.as_path(),
        InputSource::Stdin => Path::new("stdin"),
    };
    let named = |folder: &Path, format: &Format| {
        with_extension(&folder.join(base_name(input, format.naming, style)), format)
    };
    let by_rule =
        |folder: PathBuf| request.formats.iter().map(|format| named(&folder, format)).collect::<Vec<_>>();
    let beside = input.parent().unwrap_or(Path::new(""));
    let paths = match target {
        Target::Stdout => return vec![OutputTarget::Stdout; request.formats.len()],
        Target::TextToStdout => {
            let place = |format: &Format| match format.kind {
                FormatKind::Text => OutputTarget::Stdout,
                kind => OutputTarget::at(named(beside, format), kind),
            };
            return request.formats.iter().map(place).collect();
        }
        Target::Beside => by_rule(beside.to_owned()),
        Target::Folder(folder) => by_rule(folder.join(&entry.folder)),
        Target::FolderTemplate(template) => by_rule(template.fill(input).into()),
        Target::File(path) => for_each_format(path.clone(), &request.formats),
        Target::Template(template) => for_each_format(template.fill(input).into(), &request.formats),
    };
    paths
        .into_iter()
        .zip(&request.formats)
        .map(|(path, format)| OutputTarget::at(path, format.kind))
        .collect()
}

fn base_name(input: &Path, naming: Naming, style: Style) -> OsString {
    let whole = input.file_name().unwrap_or(OsStr::new("unnamed"));
    let name = match style {
        Style::Stem => input.file_stem().unwrap_or(whole),
        Style::FullName => whole,
    };
    match naming {
        Naming::Stem => name.to_owned(),
        Naming::StemTask(task) => native::concat(name, format!(".{task}")),
    }
}

/// Adds the extension, where `Path::with_extension` would replace one: `v1.2` becomes `v1.2.srt`.
fn with_extension(base: &Path, format: &Format) -> PathBuf {
    native::concat(base.as_os_str(), format!(".{}", format.extension)).into()
}

/// A name that was given in full is used as it is for one format. For several it is the base of their
/// names; the extension of one of them is no part of the base.
fn for_each_format(path: PathBuf, formats: &[Format]) -> Vec<PathBuf> {
    if formats.len() == 1 {
        return vec![path];
    }
    let known = path.extension().is_some_and(|found| formats.iter().any(|f| found == f.extension.as_str()));
    let base = if known { path.with_extension("") } else { path };
    formats.iter().map(|format| with_extension(&base, format)).collect()
}
