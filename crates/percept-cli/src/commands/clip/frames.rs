//! The frames of clips through a model, and their outputs, which grow while a clip is read.

use std::io::{BufWriter, ErrorKind, Write};
use std::mem::ManuallyDrop;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use percept::clip::{Format, FrameLine, HeadLine, SeenBy, Watch};
use percept::detect::Image;
use percept::flow::{ExitCode, Failure, Interrupt, Item, ItemTimes, Observer, Plan, Summary};
use percept::hub::Hub;
use percept::media::picture::PictureLimits;
use percept::media::video::{self, Clip, ClipInfo, ClipWriter, Frame};
use percept::write::Pending;
use percept::{Error, InputCard, Result, RunCard, Runtime, Task, TimingsPolicy};
use serde::Serialize;

use super::super::setup;
use crate::args::{AutoOr, Files, OnClips, OnPictures};
use crate::report::{self, BatchReport, Paths};

/// Takes the clips that were named through a task, one after the other.
pub(in crate::commands) fn run<W: Watch>(
    on: &OnPictures,
    clips: &OnClips,
    formats: &[Format],
    load: impl FnOnce(&Hub, Option<&str>, &Runtime) -> Result<W>,
) -> Result<ExitCode> {
    check_options(&on.files)?;
    let files = formats.iter().map(|format| format.file(W::Task::NAME)).collect();
    // `.ts` is TypeScript too.
    let is_clip = |path: &Path| video::is_clip_name(path) && video::is_clip(path);
    let plan = setup::plan(&on.files, files, &is_clip, &[W::Task::NAME])?;
    check_plan(&plan, formats)?;
    if on.files.dry_run {
        return report::plan(&plan);
    }
    let report = BatchReport::new(&on.running.progress, &plan, Paths::Printed);
    let (runtime, hub) = setup::begin(&on.running)?;
    // Never dropped: the process ends with the command.
    let watch = ManuallyDrop::new(load(&hub, on.model.as_deref(), &runtime)?);
    let run = RunCard::new(&runtime, watch.precision(), 0);
    let mut frames = Frames {
        batch: match on.files.batch {
            AutoOr::Auto => watch.batch(),
            AutoOr::Number(number) => number.get(),
        },
        watch,
        run,
        formats,
        every: clips.every.unwrap_or(NonZero::<u32>::MIN),
        track: clips.track,
        limits: on.size.limits(),
        timings: setup::timings(&on.files),
        interrupt: setup::interrupt()?,
        report: &report,
    };
    frames.all(&plan, on.files.fail_fast)
}

/// Refuses what is of many small items.
fn check_options(files: &Files) -> Result<()> {
    let asked = [
        ("--raw", files.raw.is_some()),
        ("--report", files.report.is_some()),
        ("--resume", files.resume),
        ("--retry-failed", files.retry_failed),
        ("--manifest", files.manifest.is_some()),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        Some((option, _)) => Err(Error::argument(format!("{option} is of pictures, not of clips"))),
        None => Ok(()),
    }
}

/// Refuses what is no clip, and what cannot be written.
fn check_plan(plan: &Plan, formats: &[Format]) -> Result<()> {
    for item in &plan.items {
        let path = item.input.path();
        if path == Path::new("-") {
            return Err(Error::argument("a clip is read from a file, not from standard input"));
        }
        if path.exists() && !video::is_clip(path) {
            return Err(Error::Argument {
                message: format!("`{}` is no video, and clips do not go with other things", path.display()),
                hint: Some("do pictures in a run of their own".into()),
            });
        }
        for (format, target) in formats.iter().zip(&item.outputs) {
            if *format == Format::Mp4 && target.path().is_none() {
                return Err(Error::Argument {
                    message: "mp4 is written to a file, not to standard output".into(),
                    hint: Some("name one with `-o`".into()),
                });
            }
        }
    }
    Ok(())
}

/// What is done with each clip.
struct Frames<'a, W: Watch> {
    watch: ManuallyDrop<W>,
    run: RunCard,
    formats: &'a [Format],
    every: NonZero<u32>,
    track: bool,
    batch: usize,
    limits: PictureLimits,
    timings: TimingsPolicy,
    interrupt: Interrupt,
    report: &'a BatchReport,
}

impl<W: Watch> Frames<'_, W> {
    fn all(&mut self, plan: &Plan, fail_fast: bool) -> Result<ExitCode> {
        let began = Instant::now();
        let mut summary = Summary { planned: plan.items.len(), ..Summary::default() };
        for item in &plan.items {
            match self.one(item) {
                Ok(times) => {
                    summary.done += 1;
                    self.report.finished(item, &times)?;
                }
                // Whoever read the lines has seen enough.
                Err(error) if is_broken_pipe(&error) => return Ok(ExitCode::Done),
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => {
                    let failure = Failure { index: Some(item.index), input: item.input.clone(), error };
                    self.report.failed(&failure);
                    summary.failed.push(failure);
                    if fail_fast {
                        break;
                    }
                }
            }
        }
        summary.elapsed = began.elapsed();
        self.report.finish(&summary);
        Ok(setup::exit_code(&summary))
    }

    fn one(&mut self, item: &Item) -> Result<ItemTimes> {
        let path = item.input.path();
        let mut clip = Clip::open(path, self.every, self.limits)?;
        if let Some(seconds) = clip.info().duration {
            self.report.duration(item, seconds);
        }
        let rate = clip.info().frame_rate.unwrap_or(25.0) / f64::from(self.every.get());
        let mut outputs = Outputs::begin(self.formats, item, clip.info(), rate)?;
        let head = HeadLine::new::<W::Task>(
            InputCard::new(path, clip.info()),
            self.watch.card(),
            &self.run,
            self.every.get(),
            self.track,
        );
        outputs.line(self.report, &head)?;
        self.watch.begin();
        let mut times = ItemTimes::default();
        loop {
            if self.interrupt.pressed() {
                return Err(Error::Interrupted);
            }
            let began = Instant::now();
            let frames = clip.by_ref().take(self.batch).collect::<Result<Vec<Frame>>>()?;
            times.read += began.elapsed();
            let Some(last) = frames.last().map(|frame| frame.time) else { break };
            let (places, images): (Vec<_>, Vec<_>) =
                frames.into_iter().map(|frame| ((frame.number, frame.time), Arc::new(frame.image))).unzip();
            let seen = self.watch.see(&images)?;
            let began = Instant::now();
            for ((place, image), seen) in places.into_iter().zip(&images).zip(&seen) {
                times.timings.model += seen.timings.model;
                times.timings.prepare += seen.timings.prepare;
                times.timings.finish += seen.timings.finish;
                self.write(&mut outputs, place, image, seen)?;
            }
            times.write += began.elapsed();
            self.report.bar().position(last);
        }
        outputs.finish()?;
        self.report.warnings(item, &clip.warnings());
        times.timings.decode = times.read.as_secs_f64() * 1e3;
        Ok(times)
    }

    fn write(
        &self,
        outputs: &mut Outputs,
        (number, time): (u64, f64),
        image: &Image,
        seen: &SeenBy<W>,
    ) -> Result<()> {
        let timings = (self.timings == TimingsPolicy::Tell).then_some(&seen.timings);
        outputs
            .line(self.report, &FrameLine::new::<W::Task>(number, time, timings, self.watch.record(seen)))?;
        outputs.frame(time, || self.watch.draw(image, seen))
    }
}

/// What is written of a clip. Files appear when they are whole.
#[derive(Default)]
struct Outputs {
    lines: Option<Lines>,
    drawn: Option<(ClipWriter, Pending)>,
}

enum Lines {
    Stdout,
    File(BufWriter<Pending>),
}

impl Outputs {
    fn begin(formats: &[Format], item: &Item, info: &ClipInfo, rate: f64) -> Result<Self> {
        let mut outputs = Self::default();
        for (format, target) in formats.iter().zip(&item.outputs) {
            match (format, target.path()) {
                (Format::Jsonl, None) => outputs.lines = Some(Lines::Stdout),
                (Format::Jsonl, Some(path)) => {
                    outputs.lines = Some(Lines::File(BufWriter::new(Pending::new(path)?)));
                }
                (Format::Mp4, path) => {
                    let file = Pending::new(path.unwrap_or(Path::new("-")))?;
                    let writer = ClipWriter::create(file.name()?, (info.width, info.height), rate);
                    let writer = writer.map_err(|error| of(file.path(), error))?;
                    outputs.drawn = Some((writer, file));
                }
            }
        }
        Ok(outputs)
    }

    fn line(&mut self, report: &BatchReport, line: &impl Serialize) -> Result<()> {
        match &mut self.lines {
            None => Ok(()),
            Some(Lines::Stdout) => {
                let line = report::json_line(line)?;
                let mut written = Ok(());
                report.bar().suspend(|| written = report::line(&line));
                written
            }
            Some(Lines::File(file)) => {
                let line = report::json_line(line)?;
                writeln!(file, "{line}").map_err(|error| of(file.get_ref().path(), report::unwritten(error)))
            }
        }
    }

    fn frame(&mut self, time: f64, draw: impl FnOnce() -> Image) -> Result<()> {
        match &mut self.drawn {
            Some((writer, file)) => writer.write(file.path(), &draw(), time),
            None => Ok(()),
        }
    }

    fn finish(self) -> Result<()> {
        let lines = match self.lines {
            Some(Lines::File(file)) => {
                let path = file.get_ref().path().to_owned();
                Some(file.into_inner().map_err(|error| of(&path, report::unwritten(error.into_error())))?)
            }
            _ => None,
        };
        if let Some((writer, file)) = self.drawn {
            writer.finish(file.path())?;
            file.keep()?;
        }
        lines.map_or(Ok(()), Pending::keep)
    }
}

/// An error of writing, as one of this file.
fn of(path: &Path, error: Error) -> Error {
    match error {
        Error::Output { cause, hint, .. } => Error::Output { path: path.to_owned(), cause, hint },
        other => other,
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    let Error::Output { cause, .. } = error else { return false };
    cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
