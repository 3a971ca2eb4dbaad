//! `percept manifest`: what runs have recorded.

use percept::Result;
use percept::flow::{self, ExitCode, OutputTarget, Status};

use crate::args::{ManifestAction, ManifestArguments};
use crate::report;

pub(crate) fn run(arguments: &ManifestArguments) -> Result<ExitCode> {
    let ManifestAction::Merge { manifests, output } = &arguments.action;
    let merged = flow::merge(manifests)?;
    for (path, count) in &merged.torn {
        report::warning(&format!(
            "`{}` has {count} lines that are no records; they were left out",
            path.display()
        ));
    }
    let text = merged.text()?;
    let done = match output {
        Some(path) => OutputTarget::File(path.clone()).write(text.as_bytes()).map(|()| ExitCode::Done),
        None => report::data(&text),
    }?;
    report::note(&format!("{} inputs, {} failed", merged.records.len(), merged.count(Status::Failed)));
    Ok(done)
}
