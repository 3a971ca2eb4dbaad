//! `percept manifest`: what runs have recorded.

use std::path::{Path, PathBuf};

use percept::flow::{self, ExitCode, MANIFEST_NAME, Merged, OutputTarget, Status};
use percept::{Collection, Result};

use crate::args::{ExportFormat, ManifestAction, ManifestArguments};
use crate::report;

pub(crate) fn run(arguments: &ManifestArguments) -> Result<ExitCode> {
    match &arguments.action {
        ManifestAction::Merge { manifests, output } => {
            let merged = joined(manifests)?;
            let done = write(output.as_deref(), merged.text()?.as_bytes())?;
            let failed = merged.count(Status::Failed);
            report::note(&format!("{} inputs, {failed} failed", merged.records.len()));
            Ok(done)
        }
        ManifestAction::Export { manifests, format, output } => {
            let merged = joined(manifests)?;
            let form = match format {
                ExportFormat::Jsonl => Collection::JsonLines,
                ExportFormat::Csv => Collection::Csv,
                ExportFormat::Tsv => Collection::Tsv,
                ExportFormat::Coco => Collection::Coco,
            };
            let mut bytes = Vec::new();
            let count = percept::collect(&merged.records, form, &mut bytes)?;
            let done = write(output.as_deref(), &bytes)?;
            report::note(&format!("results of {count} inputs, {} failed", merged.count(Status::Failed)));
            Ok(done)
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

fn write(output: Option<&Path>, bytes: &[u8]) -> Result<ExitCode> {
    match output {
        Some(path) => OutputTarget::File(path.to_owned()).write(bytes).map(|()| ExitCode::Done),
        None => report::data(&String::from_utf8_lossy(bytes)),
    }
}
