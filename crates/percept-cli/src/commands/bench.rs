//! `percept bench`: where the time of a model goes, as JSON.

use std::sync::Arc;
use std::time::Instant;

use percept::flow::{ExitCode, InputSource};
use percept::media::sound::{self, SoundSource};
use percept::transcribe::{self, Sound, TranscribeInput, TranscribeOptions};
use percept::{Error, Result};
use serde_json::{Map, Value, json};

use super::setup;
use crate::args::BenchArguments;
use crate::report;

/// assets/welcome.wav, so that the command needs nothing beside the model.
const WELCOME: &[u8] = include_bytes!("../../../../assets/welcome.wav");

pub(crate) fn run(arguments: &BenchArguments) -> Result<ExitCode> {
    let runtime = setup::runtime(&arguments.compute)?;
    let hub = setup::hub(&arguments.fetching, &arguments.progress);
    let began = Instant::now();
    let loaded = transcribe::load(&hub, Some(&arguments.model), &runtime)?;
    let load = milliseconds(began);
    let options =
        Arc::new(TranscribeOptions { beam_size: arguments.beam_size.max(1), ..TranscribeOptions::default() });
    let mut runs = Vec::new();
    let mut last = None;
    for _ in 0..=arguments.runs {
        let began = Instant::now();
        let sound = read(arguments)?;
        let decode = milliseconds(began);
        let seconds = sound.seconds();
        let input = TranscribeInput { sound, options: options.clone(), live: None };
        let predicted = loaded
            .model
            .predict(&[input])?
            .pop()
            .ok_or_else(|| Error::argument("the model gave no result"))?;
        let total = milliseconds(began);
        let mut row = vec![("decode", decode)];
        row.extend(&predicted.timings.stages);
        row.extend([("finish", predicted.timings.finish), ("total", total)]);
        runs.push(row);
        last = Some((seconds, predicted));
    }
    // The first run warms caches up and is not counted.
    runs.remove(0);
    let (seconds, predicted) = last.ok_or_else(|| Error::argument("nothing was run"))?;
    let tokens =
        predicted.timings.counts.iter().find(|(name, _)| *name == "tokens").map_or(0, |(_, count)| *count);
    let mut stages = Map::new();
    for (index, (name, _)) in runs[0].iter().enumerate() {
        stages.insert((*name).into(), round(median(runs.iter().map(|row| row[index].1).collect())));
    }
    let decoder = stages.get("decoder").and_then(Value::as_f64).unwrap_or(0.0);
    stages.insert("decoder_token".into(), round(decoder / tokens.max(1) as f64));
    report::data(&report::json(&json!({
        "model": loaded.local.id,
        "source": loaded.local.source,
        "precision": loaded.model.precision(),
        "threads": runtime.threads,
        "beam_size": options.beam_size,
        "runs": arguments.runs,
        "audio_seconds": seconds,
        "tokens": tokens,
        "load_ms": round(load),
        "median_ms": stages,
        "text": predicted.output.text,
    }))?)
}

fn read(arguments: &BenchArguments) -> Result<Sound> {
    match &arguments.input {
        Some(path) => {
            transcribe::read(&InputSource::Path(path.clone()), &Arc::default(), None).map(|(i, _)| i.sound)
        }
        None => {
            let source = SoundSource::Memory { name: "assets/welcome.wav".into(), bytes: WELCOME.into() };
            sound::read(source).map(|(sound, _)| sound)
        }
    }
}

fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn round(value: f64) -> Value {
    json!((value * 1e3).round() / 1e3)
}
