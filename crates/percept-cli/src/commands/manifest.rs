//! `percept manifest`: what runs have recorded.

use std::io::Write;
use std::path::{Path, PathBuf};

use percept::flow::{self, ExitCode, MANIFEST_NAME, Merged, Plan, Status, Summary};
use percept::{Collection, Error, Result, write};

use super::setup;
use crate::args::{ExportFormat, Files, ManifestAction, ManifestArguments};
use crate::report;

pub(crate) fn run(arguments: &ManifestArguments) -> Result<ExitCode> {
    let (ManifestAction::Merge { output, .. }
    | ManifestAction::Export { output, .. }
    | ManifestAction::Report { output, .. }) = &arguments.action;
    if let Some(output) = output.as_ref().filter(|output| !arguments.overwrite && output.is_file()) {
        return Err(Error::Argument {
            message: format!("`{}` is there already", output.display()),
            hint: Some("replace it with `-y`".into()),
        });
    }
    match &arguments.action {
        ManifestAction::Merge { manifests, output } => {
            let merged = joined(manifests)?;
            let text = merged.text()?;
            filled(output.as_deref(), |out| {
                out.write_all(text.as_bytes()).map(|()| text.len()).map_err(report::unwritten)
            })?;
            let failed = merged.count(Status::Failed);
            report::note(&format!("{} inputs, {failed} failed", merged.records.len()));
            Ok(ExitCode::Done)
        }
        ManifestAction::Export { manifests, format, output } => {
            let merged = joined(manifests)?;
            let form = match format {
                ExportFormat::Jsonl => Collection::JsonLines,
                ExportFormat::Csv => Collection::Csv,
                ExportFormat::Tsv => Collection::Tsv,
                ExportFormat::Parquet => Collection::Parquet,
                ExportFormat::Coco => Collection::Coco,
            };
            if *format == ExportFormat::Parquet && output.is_none() {
                report::no_terminal("Parquet")?;
            }
            let count = filled(output.as_deref(), |out| percept::collect(&merged.records, form, out))?;
            report::note(&format!("results of {count} inputs, {} failed", merged.count(Status::Failed)));
            Ok(ExitCode::Done)
        }
        ManifestAction::Report { manifests, output } => {
            page_of(&joined(manifests)?, output.as_deref())?;
            Ok(ExitCode::Done)
        }
    }
}

/// `--report` needs a manifest, and a place of its own.
pub(crate) fn check_report(files: &Files, plan: &Plan) -> Result<()> {
    let Some(page) = &files.report else { return Ok(()) };
    let wrong = |message: String, hint: &str| Err(Error::Argument { message, hint: Some(hint.into()) });
    if setup::manifest_path(files, plan).is_none() {
        return wrong(
            "a report is made of a manifest, and this run has none".into(),
            "name the folder of the outputs with `-o`, or a file with `--manifest`",
        );
    }
    if page.exists() && !(files.overwrite || files.resume || files.retry_failed) {
        return wrong(format!("`{}` is there already", page.display()), "replace it with `-y`");
    }
    Ok(())
}

/// Makes the page of a run that has ended, as `percept manifest report` does.
pub(crate) fn make_report(files: &Files, plan: &Plan, summary: &Summary) -> Result<()> {
    match (&files.report, setup::manifest_path(files, plan)) {
        (Some(page), _) if summary.interrupted => {
            report::note(&format!("no `{}`: the run was interrupted", page.display()));
            Ok(())
        }
        (Some(page), Some(path)) => page_of(&joined(&[path])?, Some(page)),
        _ => Ok(()),
    }
}

/// Writes the page of what manifests say together.
fn page_of(merged: &Merged, output: Option<&Path>) -> Result<()> {
    let folder = output.and_then(Path::parent).unwrap_or(Path::new(""));
    let count = filled(output, |out| percept::report(&merged.records, folder, out))?;
    let (done, failed) = (merged.count(Status::Done), merged.count(Status::Failed));
    let place = output.map(|path| format!("report `{}`: ", path.display())).unwrap_or_default();
    let all = if count == done { String::new() } else { format!(" of {done}") };
    report::note(&format!("{place}results of {count}{all} inputs, {failed} failed"));
    Ok(())
}

/// What manifests say together; a folder stands for the one in it.
fn joined(manifests: &[PathBuf]) -> Result<Merged> {
    let file = |path: &PathBuf| if path.is_dir() { path.join(MANIFEST_NAME) } else { path.clone() };
    let merged = flow::merge(&manifests.iter().map(file).collect::<Vec<_>>())?;
    for (path, count) in &merged.torn {
        let path = path.display();
        report::warning(&format!("`{path}` has {count} lines that are no records; they were left out"));
    }
    Ok(merged)
}

/// A file, or standard output, with what `fill` writes.
fn filled(
    output: Option<&Path>,
    fill: impl FnOnce(&mut (dyn Write + Send)) -> Result<usize>,
) -> Result<usize> {
    match output {
        Some(path) => write::atomic_filled(path, fill),
        None => report::streamed(fill),
    }
}
