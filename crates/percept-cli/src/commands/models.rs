//! `percept models`: the catalogue and what of it is here.

use percept::Result;
use percept::flow::ExitCode;
use percept::hub::{Hub, ModelSummary, Refetch};

use super::setup;
use crate::args::{ModelsAction, ModelsArguments};
use crate::report::{self, size};

pub(crate) fn run(arguments: &ModelsArguments) -> Result<ExitCode> {
    let hub = setup::hub(&arguments.fetching, &arguments.progress);
    let json = arguments.json;
    match &arguments.action {
        ModelsAction::List { task } => {
            let models = hub.list(task.as_deref())?;
            report::data(&if json { report::json(&models)? } else { table(&models) })
        }
        ModelsAction::Show { name } => {
            let model = hub.show(name)?;
            report::data(&if json { report::json(&model)? } else { card(&model) })
        }
        ModelsAction::Pull { names, force } => pull(&hub, names, *force, json),
        ModelsAction::Verify { name } => verify(&hub, name.as_deref(), json),
        ModelsAction::Rm { name } => {
            let removed = hub.rm(name)?;
            let line = format!("{}: removed, {} freed\n", removed.name, size(removed.bytes));
            report::data(&if json { report::json(&removed)? } else { line })
        }
        ModelsAction::Path { name } => {
            let path = hub.path(name)?;
            report::data(&if json { report::json(&path)? } else { format!("{}\n", path.display()) })
        }
    }
}

/// Every name is tried; the last failure decides the exit code.
fn pull(hub: &Hub, names: &[String], force: bool, json: bool) -> Result<ExitCode> {
    let refetch = if force { Refetch::Everything } else { Refetch::Missing };
    let mut code = ExitCode::Done;
    let mut pulled = Vec::new();
    for name in names {
        match hub.pull(name, refetch) {
            Ok(model) if json => pulled.push(model),
            Ok(model) => {
                let path = model.path.display();
                report::data(&format!(
                    "{}: {} from {}, {path}\n",
                    model.name,
                    size(model.bytes),
                    model.source
                ))?;
            }
            Err(error) => {
                report::error(&error);
                code = ExitCode::of(&error);
            }
        }
    }
    if json {
        report::data(&report::json(&pulled)?)?;
    }
    Ok(code)
}

fn verify(hub: &Hub, name: Option<&str>, json: bool) -> Result<ExitCode> {
    let verified = hub.verify(name)?;
    if json {
        report::data(&report::json(&verified)?)?;
    } else {
        let mut text = String::new();
        for model in &verified {
            text.push_str(&format!("{}: {}\n", model.name, if model.ok { "ok" } else { "damaged" }));
            for file in model.files.iter().filter(|file| !file.ok) {
                let (want, got) =
                    (file.want.as_deref().unwrap_or("?"), file.got.as_deref().unwrap_or("unreadable"));
                text.push_str(&format!("  {}: {got}, should be {want}\n", file.path.display()));
            }
        }
        report::data(&text)?;
    }
    let all_ok = verified.iter().all(|model| model.ok);
    Ok(if all_ok { ExitCode::Done } else { ExitCode::SomeFailed })
}

fn table(models: &[ModelSummary]) -> String {
    let unknown = || "-".to_owned();
    let rows = models.iter().map(|model| {
        [
            format!("{}{}", model.name, if model.default { " (default)" } else { "" }),
            model.task.clone().unwrap_or_else(unknown),
            model.architecture.clone().unwrap_or_else(unknown),
            model.parameters.map_or_else(unknown, count),
            model.bytes.map_or_else(unknown, size),
            model.license.clone().unwrap_or_else(unknown),
            if model.here { "here" } else { "-" }.to_owned(),
        ]
    });
    let heading =
        ["NAME", "TASK", "ARCHITECTURE", "PARAMETERS", "SIZE", "LICENSE", "HERE"].map(str::to_owned);
    let rows = std::iter::once(heading).chain(rows).collect::<Vec<_>>();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = std::array::from_fn::<_, 7, _>(width);
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn card(model: &ModelSummary) -> String {
    let unknown = || "unknown".to_owned();
    let mut text = format!("{}\n", model.name);
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:13} {value}\n"));
    if !model.description.is_empty() {
        line("description", model.description.clone());
    }
    line("task", model.task.clone().unwrap_or_else(unknown));
    line("architecture", model.architecture.clone().unwrap_or_else(unknown));
    line("parameters", model.parameters.map_or_else(unknown, count));
    let terms = if model.noncommercial { " (no commercial use)" } else { "" };
    line("license", model.license.clone().unwrap_or_else(unknown) + terms);
    line("sources", if model.sources.is_empty() { "built in".into() } else { model.sources.join(", ") });
    line("here", if model.here { "yes" } else { "no" }.into());
    if let Some(source) = &model.source {
        line("came from", source.clone());
    }
    if let Some(revision) = &model.revision {
        line("revision", revision.clone());
    }
    if let Some(path) = &model.path {
        line("path", path.display().to_string());
    }
    for file in &model.files {
        line("file", format!("{} {} {}", file.name, size(file.bytes), file.sha256.as_deref().unwrap_or("-")));
    }
    text
}

/// `39 M`, `1.55 B`.
fn count(parameters: u64) -> String {
    match parameters as f64 / 1e6 {
        millions if millions >= 1000.0 => format!("{:.2} B", millions / 1000.0),
        millions if millions >= 10.0 => format!("{millions:.0} M"),
        millions => format!("{millions:.1} M"),
    }
}
