//! What every command needs before its work: a runtime, a hub, and a plan's parts.

use std::collections::HashSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use percept::flow::{
    Existing, ExitCode, FilesFrom, Format, Identity, Interrupt, ListSource, MANIFEST_NAME, Manifest,
    OutputTarget, Plan, PlanRequest, Resume, RunOptions, Separator, Shard, Summary,
};
use percept::hub::{Hub, HubOptions};
use percept::{Error, LocalModel, Result, Runtime, Task, TimingsPolicy};

use crate::args::{Compute, Fetching, Files, ProgressChoice, Running};
use crate::report::Fetch;

/// What a model is loaded with: the runtime that was asked for, and where models come from. Sizes the compute pool.
pub(crate) fn begin(running: &Running) -> Result<(Runtime, Hub)> {
    Ok((runtime(&running.compute)?, hub(&running.fetching, &running.progress)))
}

/// The runtime that was asked for; sizes the compute pool.
fn runtime(compute: &Compute) -> Result<Runtime> {
    let mut runtime = Runtime { device: compute.device, precision: compute.precision, ..Runtime::default() };
    if let Some(threads) = compute.threads {
        runtime.threads = usize::from(threads);
    }
    percept::use_threads(runtime.threads)?;
    Ok(runtime)
}

/// The hub as the environment and the options say.
pub(crate) fn hub(fetching: &Fetching, progress: &ProgressChoice) -> Hub {
    let mut options = HubOptions::from_env();
    options.offline |= fetching.offline;
    options.accept_license = fetching.accept_license;
    options.progress = Arc::new(Fetch::new(progress));
    Hub::new(options)
}

/// What will be done, from what was typed.
pub(crate) fn plan(
    files: &Files,
    formats: Vec<Format>,
    accept: &dyn Fn(&Path) -> bool,
    own_outputs: &[&str],
) -> Result<Plan> {
    let plan = Plan::new(&PlanRequest {
        inputs: files.inputs.clone(),
        files_from: files_from(files),
        output: files.output.clone(),
        formats,
        existing: match files.overwrite || files.resume || files.retry_failed {
            true => Existing::Replace,
            false => Existing::Refuse,
        },
        accept,
        include: &files.include,
        exclude: &files.exclude,
        shard: files.shard,
        own_outputs,
    })?;
    one_input_for_raw(files, &plan)?;
    check_more_outputs(files, &plan)?;
    super::manifest::check_report(files, &plan)?;
    Ok(plan)
}

/// Where further inputs are listed.
fn files_from(files: &Files) -> Option<FilesFrom> {
    let path = files.files_from.as_ref()?;
    let source = if path.as_os_str() == "-" { ListSource::Stdin } else { ListSource::File(path.clone()) };
    let separator = if files.null { Separator::Zero } else { Separator::Line };
    Some(FilesFrom { source, separator })
}

/// `--manifest`, `--raw` and `--report` are written over nothing else of the run.
fn check_more_outputs(files: &Files, plan: &Plan) -> Result<()> {
    let more = [("--manifest", &files.manifest), ("--raw", &files.raw), ("--report", &files.report)];
    let more: Vec<(&str, PathBuf)> =
        more.into_iter().filter_map(|(option, path)| Some((option, place(path.as_ref()?)))).collect();
    if more.is_empty() {
        return Ok(());
    }
    let wrong = |message: String, hint: &str| Err(Error::Argument { message, hint: Some(hint.into()) });
    // Followed once each: there may be a hundred thousand.
    let inputs: HashSet<PathBuf> = plan.items.iter().map(|item| place(item.input.path())).collect();
    let outputs = plan.items.iter().flat_map(|item| &item.outputs).filter_map(OutputTarget::path);
    let outputs: HashSet<PathBuf> = outputs.map(place).collect();
    for (index, (option, path)) in more.iter().enumerate() {
        let shown = path.display();
        if inputs.contains(path) {
            return wrong(format!("{option} would replace the input `{shown}`"), "name another file");
        }
        if outputs.contains(path) || more[..index].iter().any(|(_, other)| other == path) {
            return wrong(format!("{option} would replace the output `{shown}`"), "name another file");
        }
        if *option == "--raw" && path.is_file() && !files.overwrite {
            return wrong(format!("`{shown}` is there already"), "replace it with `-y`");
        }
    }
    Ok(())
}

/// A path as far as it can be followed: the file may not be there yet.
fn place(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let followed = std::fs::canonicalize(path).or_else(|_| {
        std::fs::canonicalize(folder).map(|folder| folder.join(path.file_name().unwrap_or_default()))
    });
    followed.unwrap_or_else(|_| path.to_owned())
}

/// `--raw` names one file.
fn one_input_for_raw(files: &Files, plan: &Plan) -> Result<()> {
    if files.raw.is_some() && plan.items.len() != 1 {
        return Err(Error::Argument {
            message: format!("--raw writes one file, and there are {} inputs", plan.items.len()),
            hint: Some("give one input".into()),
        });
    }
    Ok(())
}

/// Opens the manifest of a run. `parameters` are all that outputs depend on besides inputs, model and program.
pub(crate) fn manifest<T: Task>(
    files: &Files,
    plan: &Plan,
    local: &LocalModel,
    parameters: &dyn Debug,
) -> Result<Option<Arc<Manifest>>> {
    let resume = match (files.resume, files.retry_failed) {
        (_, true) => Resume::Failed,
        (true, false) => Resume::Missing,
        (false, false) => Resume::Nothing,
    };
    let Some(path) = manifest_path(files, plan) else {
        return match resume {
            Resume::Nothing => Ok(None),
            _ => Err(Error::Argument {
                message: "there is no manifest to go on from".into(),
                hint: Some("name the folder of the outputs with `-o`, or the file with `--manifest`".into()),
            }),
        };
    };
    let parameters = format!("percept {} {parameters:?}", env!("CARGO_PKG_VERSION"));
    let identity = Identity::new(T::NAME, &local.id, &local.sha256, &parameters);
    Manifest::open(&path, identity, resume, plan).map(|manifest| Some(Arc::new(manifest)))
}

/// Where the manifest of a run is, if it has one.
pub(crate) fn manifest_path(files: &Files, plan: &Plan) -> Option<PathBuf> {
    let name = files.shard.map_or(MANIFEST_NAME.to_owned(), Shard::manifest_name);
    files.manifest.clone().or_else(|| plan.folder.as_ref().map(|folder| folder.join(name)))
}

/// Brings the manifest into order behind a run.
pub(crate) fn conclude(options: RunOptions, plan: &Plan) -> Result<()> {
    match options.manifest.and_then(Arc::into_inner) {
        Some(manifest) => manifest.finish(plan),
        None => Ok(()),
    }
}

/// The flag that Ctrl-C presses from now on.
pub(crate) fn interrupt() -> Result<Interrupt> {
    let interrupt = Interrupt::new();
    interrupt.listen()?;
    Ok(interrupt)
}

/// Whether results tell how long they took.
pub(crate) fn timings(files: &Files) -> TimingsPolicy {
    if files.no_timings { TimingsPolicy::Omit } else { TimingsPolicy::Tell }
}

/// How the command ends.
pub(crate) fn exit_code(summary: &Summary) -> ExitCode {
    // An option that no item can be done with is wrong usage, not a broken item.
    let wrong_option = summary.done == 0
        && !summary.failed.is_empty()
        && summary.failed.iter().all(|failure| matches!(failure.error, Error::Argument { .. }));
    if wrong_option { ExitCode::Usage } else { summary.exit_code() }
}
