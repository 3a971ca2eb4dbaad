//! `percept transcribe`: argv to text in eight hops (docs/architecture.md).

use std::mem::ManuallyDrop;
use std::sync::Arc;

use percept::flow::{self, ExitCode, Item, Manifest, Naming, OutputTarget, Plan};
use percept::media::sound::SoundInfo;
use percept::transcribe::{
    self, CueLimits, Format, Goal, LiveSegments, Task, TranscribeInput, TranscribeOptions, Transcript,
};
use percept::{Envelope, Error, InputCard, ModelCard, Predicted, Result, RunCard, TimingsPolicy};
use serde::Serialize;

use super::road::{Road, Work};
use super::{setup, worker};
use crate::args::{FormatChoice, TaskChoice, TranscribeArguments};
use crate::report::{self, BatchReport, LiveText, Paths};

pub(crate) fn run(arguments: &TranscribeArguments) -> Result<ExitCode> {
    let formats = formats(arguments);
    let plan = plan(arguments, &formats)?;
    if arguments.files.dry_run {
        return report::plan(&plan);
    }
    let live = live_text(&plan, &formats);
    let paths = if live.is_some() { Paths::Silent } else { Paths::Printed };
    let report = BatchReport::new(&arguments.running.progress, &plan, paths);
    prepared(arguments, formats, live, &report, |road, work| {
        road.run(&plan, &(&work.options, &work.formats, work.limits), work)
    })
}

/// `percept worker transcribe`.
pub(crate) fn serve(arguments: &TranscribeArguments) -> Result<ExitCode> {
    worker::check(&arguments.files)?;
    let report = BatchReport::new(&arguments.running.progress, &Plan::default(), Paths::Silent);
    prepared(arguments, vec![FormatChoice::Json], None, &report, |road, work| road.serve(work))
}

/// Loads what was asked for and goes on with it.
fn prepared(
    arguments: &TranscribeArguments,
    formats: Vec<FormatChoice>,
    live: Option<Arc<LiveText>>,
    report: &BatchReport,
    go: impl FnOnce(&Road<'_, Task>, &Recordings<'_>) -> Result<ExitCode>,
) -> Result<ExitCode> {
    let limits = limits(arguments);
    let options = Arc::new(options(arguments, limits)?);
    let (runtime, hub) = setup::begin(&arguments.running)?;
    // Never dropped: the process ends with the command, and the system takes memory back faster than it is
    // given back piece by piece.
    let loaded = ManuallyDrop::new(transcribe::load(&hub, arguments.model.as_deref(), &runtime)?);
    let work = Recordings {
        formats,
        limits,
        model: ModelCard::new(&loaded),
        run: RunCard::new(&runtime, loaded.model.precision(), options.seed),
        options,
        timings: setup::timings(&arguments.files),
        live,
        report,
    };
    go(&Road { files: &arguments.files, loaded: &loaded, runtime: &runtime, report }, &work)
}

/// What to write, in order; the extension of `-o` decides where nothing is said.
fn formats(arguments: &TranscribeArguments) -> Vec<FormatChoice> {
    let mut formats = Vec::new();
    for format in &arguments.format {
        match format {
            FormatChoice::All => formats.extend(FormatChoice::EACH),
            one => formats.push(*one),
        }
    }
    if formats.is_empty() {
        let extension = arguments.files.output.as_ref().and_then(|output| {
            std::path::Path::new(output).extension()?.to_str().and_then(FormatChoice::named)
        });
        formats.push(extension.unwrap_or(FormatChoice::Txt));
    }
    let mut seen = Vec::new();
    formats.retain(|format| {
        !seen.contains(format) && {
            seen.push(*format);
            true
        }
    });
    formats
}

fn plan(arguments: &TranscribeArguments, formats: &[FormatChoice]) -> Result<Plan> {
    let text = |format: &FormatChoice| flow::Format {
        extension: format.name().into(),
        kind: flow::FormatKind::Text,
        naming: Naming::Stem,
    };
    setup::plan(&arguments.files, formats.iter().map(text).collect(), &transcribe::is_recording, &[])
}

fn limits(arguments: &TranscribeArguments) -> CueLimits {
    CueLimits {
        line_width: arguments.max_line_width.map(usize::from),
        line_count: arguments.max_line_count.map(usize::from),
        words_per_line: arguments.max_words_per_line.map(usize::from),
    }
}

fn options(arguments: &TranscribeArguments, limits: CueLimits) -> Result<TranscribeOptions> {
    let step = arguments.temperature_increment_on_fallback;
    let mut temperatures = vec![arguments.temperature];
    // Counted in whole steps: sums of 0.2 miss 1.0 by a bit.
    let tries = if step > 0.0 { ((1.0 - arguments.temperature) / step + 1e-3).max(0.0) as usize } else { 0 };
    temperatures.extend((1..=tries).map(|index| arguments.temperature + step * index as f32));
    if arguments.no_timestamps && (arguments.word_timestamps || limits.any()) {
        return Err(Error::Argument {
            message: "--no-timestamps contradicts word times and subtitle limits".into(),
            hint: Some("leave one of them out".into()),
        });
    }
    let greedy_by_default = if arguments.files.raw.is_some() { 1 } else { 5 };
    Ok(TranscribeOptions {
        language: arguments.language.clone(),
        goal: match arguments.task {
            TaskChoice::Transcribe => Goal::Transcribe,
            TaskChoice::Translate => Goal::Translate,
        },
        beam_size: arguments.beam_size.map_or(greedy_by_default, usize::from),
        best_of: usize::from(arguments.best_of),
        temperatures,
        compression_ratio_threshold: Some(arguments.compression_ratio_threshold),
        logprob_threshold: Some(arguments.logprob_threshold),
        no_speech_threshold: Some(arguments.no_speech_threshold),
        condition_on_previous_text: arguments.condition_on_previous_text,
        prompt: arguments.prompt.clone(),
        length_penalty: arguments.length_penalty,
        // Lines are broken between words, so their times are needed.
        word_timestamps: arguments.word_timestamps || limits.any(),
        vad: !arguments.no_vad,
        timestamps: !arguments.no_timestamps,
        seed: arguments.seed,
    })
}

/// Text appears as it is decoded where it is the only thing on standard output.
fn live_text(plan: &Plan, formats: &[FormatChoice]) -> Option<Arc<LiveText>> {
    let to_stdout = |item: &Item| matches!(item.outputs.as_slice(), [OutputTarget::Stdout]);
    let alone = plan.items.len() == 1 && plan.items.iter().all(to_stdout);
    (alone && formats == [FormatChoice::Txt]).then(|| Arc::new(LiveText::default()))
}

struct Recordings<'a> {
    options: Arc<TranscribeOptions>,
    formats: Vec<FormatChoice>,
    limits: CueLimits,
    model: ModelCard,
    run: RunCard,
    timings: TimingsPolicy,
    live: Option<Arc<LiveText>>,
    report: &'a BatchReport,
}

impl Work<Task> for Recordings<'_> {
    type Meta = SoundInfo;

    fn read(&self, item: &Item, manifest: Option<&Manifest>) -> Result<(TranscribeInput, SoundInfo)> {
        let (input, info) = transcribe::read(&item.input, &self.options, self.listener(), manifest)?;
        self.report.duration(item, info.duration);
        Ok((input, info))
    }

    fn write(&self, item: &Item, info: &SoundInfo, predicted: &Predicted<Transcript>) -> Result<()> {
        self.report.warnings(item, &info.warnings);
        if let Some(live) = &self.live {
            return live.finish();
        }
        for (format, target) in self.formats.iter().zip(&item.outputs) {
            let text = match Format::ALL.iter().find(|(name, _)| *name == format.name()) {
                Some((_, format)) => format.render(&predicted.output, self.limits),
                None => report::json(&self.card(item, info, predicted))?,
            };
            target.write(text.as_bytes())?;
        }
        Ok(())
    }

    fn envelope(&self, item: &Item, info: &SoundInfo, predicted: &Predicted<Transcript>) -> Result<String> {
        report::json_line(&self.card(item, info, predicted))
    }
}

impl Recordings<'_> {
    fn listener(&self) -> Option<LiveSegments> {
        let (live, bar) = (self.live.clone(), self.report.bar());
        Some(Arc::new(move |segment| {
            bar.position(segment.end);
            if let Some(live) = &live {
                bar.suspend(|| live.line(&segment.text));
            }
        }))
    }

    fn card<'a>(
        &'a self,
        item: &Item,
        info: &'a SoundInfo,
        predicted: &'a Predicted<Transcript>,
    ) -> impl Serialize + use<'a> {
        let timings = (self.timings == TimingsPolicy::Tell).then_some(&predicted.timings);
        let card = InputCard::new(item.input.path(), info);
        Envelope::new::<Task>(card, &self.model, &self.run, timings, &predicted.output)
    }
}
