//! `percept eval`: what is true and what was answered, to numbers.

use percept::eval::{self, Bound, Metric, coco, depth, masks, panoptic, register as registrations, text};
use percept::flow::ExitCode;
use percept::{Error, Result};
use serde::Serialize;

use crate::args::{EvalArguments, EvalFiles, EvalTask, NormalizerChoice};
use crate::report::{self, table};

pub(crate) fn run(arguments: &EvalArguments) -> Result<ExitCode> {
    match &arguments.task {
        EvalTask::Detect(files) => of_coco(files, "detect", eval::detect(&files.truth, &files.results)),
        EvalTask::Pose { files, sigmas } => {
            of_coco(files, "pose", eval::pose(&files.truth, &files.results, sigmas.as_deref()))
        }
        EvalTask::Caption(files) => read(eval::caption(&files.truth, &files.results), |found| {
            tell(files, "caption", &found, &found.metrics, || {
                let counts = format!("{} captions, {} references\n\n", found.pictures, found.references);
                counts + &totals(&found.metrics)
            })
        }),
        EvalTask::Depth { files, truth_scale, unit, align, max_depth } => {
            let options = depth::DepthOptions {
                truth_scale: *truth_scale,
                unit: Some(unit.unit()),
                alignment: *align,
                max_depth: *max_depth,
            };
            let found = eval::depth(&files.truth, &files.results, &options);
            read(found, |found| {
                tell(files, "depth", &found, &found.metrics, || {
                    let counts =
                        format!("{} pictures, {} pixels that count\n\n", found.pictures, found.pixels);
                    counts + &totals(&found.metrics)
                })
            })
        }
        EvalTask::Register { files, max_rotation, max_translation, max_rmse, sources } => {
            let options = registrations::RegisterOptions {
                degrees: *max_rotation,
                distance: *max_translation,
                rmse: *max_rmse,
                sources: sources.clone(),
            };
            let found = eval::register(&files.truth, &files.results, &options);
            read(found, |found| tell(files, "register", &found, &found.metrics, || of_transforms(&found)))
        }
        EvalTask::Segment { files, truth_folder, results_folder, .. }
            if files.truth.extension().is_some_and(|extension| extension == "json") =>
        {
            let folders = panoptic::Folders { truth: truth_folder.clone(), results: results_folder.clone() };
            read(eval::panoptic(&files.truth, &files.results, &folders), |found| {
                found.notes.iter().for_each(|note| report::warning(note));
                tell(files, "segment", &found, &found.metrics, || of_panoptic(&found))
            })
        }
        EvalTask::Segment { files, ignore, class_offset, background, .. } => {
            let numbers = masks::ClassNumbers { offset: *class_offset, background: *background };
            let found = eval::segment(&files.truth, &files.results, ignore, numbers);
            read(found, |found| tell(files, "segment", &found, &found.metrics, || of_masks(&found)))
        }
        EvalTask::Transcribe { files, normalizer } => {
            let normalizer = match normalizer {
                NormalizerChoice::English => text::Normalizer::english()?,
                NormalizerChoice::Basic => text::Normalizer::Basic,
                NormalizerChoice::None => text::Normalizer::None,
            };
            let found = eval::transcribe(&files.truth, &files.results, &normalizer);
            read(found, |found| {
                let metrics = found.metrics();
                let rates = Rates { wer: metrics[0].value, cer: metrics[1].value };
                let whole = Transcripts { files: found.files, metrics: rates, rest: &found };
                tell(files, "transcribe", &whole, &metrics, || of_texts(&found, &metrics))
            })
        }
    }
}

/// A file that cannot be read is a failed item, not wrong usage.
fn read<T>(found: Result<T>, then: impl FnOnce(T) -> Result<ExitCode>) -> Result<ExitCode> {
    match found {
        Err(error @ Error::Input { .. }) => {
            report::error(&error);
            Ok(ExitCode::SomeFailed)
        }
        found => then(found?),
    }
}

fn of_coco(files: &EvalFiles, task: &str, found: Result<coco::Report>) -> Result<ExitCode> {
    read(found, |found| {
        found.notes.iter().for_each(|note| report::warning(note));
        tell(files, task, &found, &found.metrics, || {
            let rows = found.classes.iter().map(|class| {
                let values = [class.ap, class.ap50, class.ap75, class.ar].map(shown);
                [vec![class.name.clone(), class.truths.to_string()], values.to_vec()].concat()
            });
            let counts =
                format!("{} images, {} objects, {} results\n\n", found.images, found.truths, found.results);
            let classes = table(&["class", "objects", "AP", "AP50", "AP75", "AR"], rows);
            counts + &totals(&found.metrics) + "\n" + &classes
        })
    })
}

/// The report, then what it says about the limits.
fn tell(
    files: &EvalFiles,
    task: &str,
    found: &impl Serialize,
    metrics: &[Metric],
    text: impl FnOnce() -> String,
) -> Result<ExitCode> {
    // A wrong name of a metric is wrong usage, and says so before anything is printed.
    let limits = [(Bound::Min, &files.min), (Bound::Max, &files.max)];
    let mut missed = Vec::new();
    for (bound, limits) in limits {
        for limit in limits {
            missed.extend(limit.missed(bound, metrics)?);
        }
    }
    let code = report::data(&match files.json {
        true => report::json(&Whole { task, missed: &missed, report: found })?,
        false => text(),
    })?;
    missed.iter().for_each(|missed| report::note(missed));
    Ok(if missed.is_empty() { code } else { ExitCode::SomeFailed })
}

#[derive(Serialize)]
struct Whole<'a, T: Serialize> {
    task: &'a str,
    /// Limits that were missed, a sentence each.
    missed: &'a [String],
    #[serde(flatten)]
    report: &'a T,
}

#[derive(Serialize)]
struct Transcripts<'a> {
    files: usize,
    metrics: Rates,
    #[serde(flatten)]
    rest: &'a text::Report,
}

#[derive(Serialize)]
struct Rates {
    #[serde(rename = "WER")]
    wer: Option<f64>,
    #[serde(rename = "CER")]
    cer: Option<f64>,
}

fn of_masks(found: &masks::Report) -> String {
    let rows = found.classes.iter().map(|class| {
        vec![
            class.id.to_string(),
            class.truth.to_string(),
            class.results.to_string(),
            shown(Some(class.iou)),
            shown(Some(class.boundary)),
        ]
    });
    let counts = format!("{} pictures, {} pixels that count\n\n", found.pictures, found.pixels);
    let classes = table(&["class", "pixels", "results", "IoU", "boundary-F"], rows);
    counts + &totals(&found.metrics) + "\n" + &classes
}

fn of_panoptic(found: &panoptic::Report) -> String {
    let rows = found.classes.iter().map(|class| {
        let counts = [class.found, class.missed, class.wrong].map(|count| count.to_string());
        let values = [class.pq, class.sq, class.rq].map(|value| shown(Some(value)));
        [vec![class.name.clone()], counts.to_vec(), values.to_vec()].concat()
    });
    let counts =
        format!("{} pictures, {} segments, {} results\n\n", found.pictures, found.truths, found.results);
    let classes = table(&["class", "found", "missed", "wrong", "PQ", "SQ", "RQ"], rows);
    counts + &totals(&found.metrics) + "\n" + &classes
}

fn of_transforms(found: &registrations::Report) -> String {
    let rows = found.each.iter().filter(|pair| !pair.registered).map(|pair| {
        [vec![pair.name.clone()], [pair.degrees, pair.distance, pair.rmse].map(shown).to_vec()].concat()
    });
    let counts = format!("{} pairs, {} results\n\n", found.pairs, found.results);
    let totals = counts + &totals(&found.metrics);
    match found.each.iter().all(|pair| pair.registered) {
        true => totals,
        false => totals + "\n" + &table(&["not registered", "RRE", "RTE", "RMSE"], rows),
    }
}

fn of_texts(found: &text::Report, metrics: &[Metric]) -> String {
    let row = |name: &str, edits: &text::Edits, rate: &Metric| {
        let counts = [edits.truth, edits.hits, edits.substitutions, edits.insertions, edits.deletions];
        let counts = counts.iter().map(usize::to_string);
        [name.to_owned(), shown(rate.value)].into_iter().chain(counts).collect()
    };
    let rows = [row("WER", &found.words, &metrics[0]), row("CER", &found.characters, &metrics[1])];
    let head = ["", "rate", "truth", "hits", "substitutions", "insertions", "deletions"];
    format!("{} files\n\n", found.files) + &table(&head, rows.into_iter())
}

fn totals(metrics: &[Metric]) -> String {
    let rows = metrics.iter().map(|metric| vec![metric.name.clone(), shown(metric.value)]);
    table(&["metric", "value"], rows)
}

/// Four decimals; a dash for what could not be measured.
fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}
