//! The stages of speech to text.

use std::sync::Arc;
use std::time::Instant;

use percept::flow::InputSource;
use percept::hub::Hub;
use percept::media::sound::{self, SoundSource};
use percept::transcribe::{self, Sound, TranscribeInput, TranscribeOptions};
use percept::{Error, Result, Runtime};
use serde_json::{Value, json};

use super::{milliseconds, repeat, round};
use crate::args::BenchArguments;

/// assets/welcome.wav, so that the command needs nothing beside the model.
const WELCOME: &[u8] = include_bytes!("../../../../../assets/welcome.wav");

pub(super) fn run(hub: &Hub, arguments: &BenchArguments, runtime: &Runtime) -> Result<Value> {
    let began = Instant::now();
    let loaded = transcribe::load(hub, Some(&arguments.model), runtime)?;
    let load = milliseconds(began);
    let options =
        Arc::new(TranscribeOptions { beam_size: arguments.beam_size.max(1), ..TranscribeOptions::default() });
    let (mut stages, (seconds, predicted)) = repeat(arguments.runs, || {
        let began = Instant::now();
        let sound = read(arguments)?;
        let decode = milliseconds(began);
        let seconds = sound.seconds();
        let input = TranscribeInput::new(sound, options.clone());
        let predicted = loaded
            .model
            .predict(&[input])?
            .pop()
            .ok_or_else(|| Error::argument("the model gave no result"))?;
        let mut row = vec![("decode", decode)];
        row.extend(&predicted.timings.stages);
        row.extend([("finish", predicted.timings.finish), ("total", milliseconds(began))]);
        Ok((row, (seconds, predicted)))
    })?;
    let tokens =
        predicted.timings.counts.iter().find(|(name, _)| *name == "tokens").map_or(0, |(_, count)| *count);
    let decoder = stages.get("decoder").and_then(Value::as_f64).unwrap_or(0.0);
    stages.insert("decoder_token".into(), round(decoder / tokens.max(1) as f64));
    Ok(json!({
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
    }))
}

fn read(arguments: &BenchArguments) -> Result<Sound> {
    match &arguments.input {
        Some(path) => transcribe::read(&InputSource::Path(path.clone()), &Arc::default(), None, None)
            .map(|(i, _)| i.sound),
        None => {
            let source = SoundSource::Memory { name: "assets/welcome.wav".into(), bytes: WELCOME.into() };
            sound::read(source).map(|(sound, _)| sound)
        }
    }
}
