//! `percept manifest`: what runs have recorded.

use std::io::Write;
use std::path::{Path, PathBuf};

use percept::flow::{self, ExitCode, MANIFEST_NAME, Merged, Status};
use percept::{Collection, Result, write};

use crate::args::{ExportFormat, ManifestAction, ManifestArguments};
use crate::report;

pub(crate) fn run(arguments: &ManifestArguments) -> Result<ExitCode> {
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
    }
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
