//! `percept transcribe`: argv to text in eight hops (docs/architecture.md).

use std::mem::ManuallyDrop;
use std::sync::Arc;

use percept::flow::{self, ExitCode, InputSource, Item, Naming, OutputTarget, Plan};
use percept::media::raw;
use percept::media::sound::SoundInfo;
use percept::transcribe::{
    self, CueLimits, Format, Goal, InputCard, LiveSegments, Task, TranscribeOptions, Transcript,
};
use percept::{Envelope, Error, ModelCard, Predicted, Result, RunCard, TimingsPolicy};

use super::{manifest, setup};
use crate::args::{FormatChoice, TaskChoice, TranscribeArguments};
use crate::report::{self, BatchReport, LiveText, Paths};

pub(crate) fn run(arguments: &TranscribeArguments) -> Result<ExitCode> {
    let formats = formats(arguments);
    let plan = plan(arguments, &formats)?;
    setup::one_input_for_raw(&arguments.files, &plan)?;
    manifest::check_report(&arguments.files, &plan)?;
    if arguments.files.dry_run {
        return report::plan(&plan);
    }
    let limits = limits(arguments);
    let options = Arc::new(options(arguments, limits)?);
    let runtime = setup::runtime(&arguments.compute)?;
    let hub = setup::hub(&arguments.fetching, &arguments.progress);
    // Never dropped: the process ends with the command, and the system takes memory back faster than it is
    // given back piece by piece.
    let loaded = ManuallyDrop::new(transcribe::load(&hub, arguments.model.as_deref(), &runtime)?);
    let writer = Writer {
        formats: &formats,
        limits,
        model: ModelCard::new(&loaded),
        run: RunCard::new(&runtime, loaded.model.precision(), options.seed),
        timings: setup::timings(&arguments.files),
        live: live_text(&plan, &formats),
    };
    let paths = if writer.live.is_some() { Paths::Silent } else { Paths::Printed };
    let report = BatchReport::new(&arguments.progress, &plan, paths);
    let parameters = (&options, &formats, limits, loaded.model.precision());
    let manifest = setup::manifest::<Task>(&arguments.files, &plan, &loaded.local, &parameters)?;
    let run_options = setup::run_options(&arguments.files, &loaded.local.id, manifest)?;
    let raw_file = arguments.files.raw.as_deref();
    let read = |item: &Item| {
        let (input, info) = transcribe::read(&item.input, &options, writer.listener(&report))?;
        report.duration(item, info.duration);
        // The raw tensors are of the sound as it is, whatever the transcript leaves out.
        if let Some(path) = raw_file {
            raw::write(path, &loaded.model.raw(&input)?)?;
        }
        Ok((input, info))
    };
    let write = |item: &Item, info: SoundInfo, predicted: Predicted<Transcript>| {
        report.warnings(item, &info.warnings);
        writer.write(item, &info, &predicted)?;
        report.written(item)
    };
    let summary = flow::run::<Task, _, _, _>(&*loaded.model, &plan, read, write, &run_options, &report);
    report.finish(&summary);
    setup::conclude(run_options, &plan)?;
    manifest::make_report(&arguments.files, &plan, &summary)?;
    Ok(setup::exit_code(&summary))
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

struct Writer<'a> {
    formats: &'a [FormatChoice],
    limits: CueLimits,
    model: ModelCard,
    run: RunCard,
    timings: TimingsPolicy,
    live: Option<Arc<LiveText>>,
}

impl Writer<'_> {
    fn listener(&self, report: &BatchReport) -> Option<LiveSegments> {
        let (live, bar) = (self.live.clone(), report.bar());
        Some(Arc::new(move |segment| {
            bar.position(segment.end);
            if let Some(live) = &live {
                bar.suspend(|| live.line(&segment.text));
            }
        }))
    }

    fn write(&self, item: &Item, info: &SoundInfo, predicted: &Predicted<Transcript>) -> Result<()> {
        if let Some(live) = &self.live {
            return live.finish();
        }
        for (format, target) in self.formats.iter().zip(&item.outputs) {
            let text = match Format::ALL.iter().find(|(name, _)| *name == format.name()) {
                Some((_, format)) => format.render(&predicted.output, self.limits),
                None => self.json(&item.input, info, predicted)?,
            };
            target.write(text.as_bytes())?;
        }
        Ok(())
    }

    fn json(
        &self,
        input: &InputSource,
        info: &SoundInfo,
        predicted: &Predicted<Transcript>,
    ) -> Result<String> {
        let timings = (self.timings == TimingsPolicy::Tell).then_some(&predicted.timings);
        let card = InputCard::new(input, info);
        let envelope = Envelope::new::<Task>(card, &self.model, &self.run, timings, &predicted.output);
        report::json(&envelope)
    }
}
