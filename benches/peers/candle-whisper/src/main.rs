//! Times candle-transformers' Whisper: the encoder on one 30 s window, and greedy decoding as its example does it.
//!
//! `candle-whisper HF_FOLDER FEATURES.safetensors RUNS`, where the features hold `input_features` f32 [1, mels, 3000].
//! Prints one JSON line. Model loading is outside the clock, one run of each part is unmeasured.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::{D, DType, Device, IndexOp, Tensor, safetensors};
use candle_nn::VarBuilder;
use candle_transformers::models::whisper::{Config, model::Whisper};
use serde_json::{Value, json};

#[cfg(feature = "tuned")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What decoding needs from generation_config.json.
struct Decoding {
    prompt: Vec<u32>,
    end: u32,
    suppressed: Tensor,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, features, runs] = arguments.as_slice() else {
        anyhow::bail!("usage: candle-whisper HF_FOLDER FEATURES.safetensors RUNS");
    };
    let (folder, runs) = (PathBuf::from(folder), runs.parse::<usize>()?);
    let device = Device::Cpu;
    let config = config(&read_json(folder.join("config.json"))?)?;
    let weights = safetensors::load(folder.join("model.safetensors"), &device)?;
    let builder = VarBuilder::from_tensors(weights, DType::F32, &device);
    let mut model = Whisper::load(&builder, config.clone())?;
    let decoding = decoding(&read_json(folder.join("generation_config.json"))?, config.vocab_size)?;
    let features = safetensors::load(features, &device)?
        .remove("input_features")
        .context("no input_features in the file")?;

    let mut encoded = model.encoder.forward(&features, true)?;
    let mut encoder = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        encoded = model.encoder.forward(&features, true)?;
        encoder.push(milliseconds(start));
    }
    let mut ids = decode(&mut model, &encoded, &decoding)?;
    let mut decoder = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        ids = decode(&mut model, &encoded, &decoding)?;
        decoder.push(milliseconds(start));
    }
    let precision = if cfg!(feature = "tuned") { "f32, tuned" } else { "f32" };
    let report = json!({
        "precision": precision,
        "rows": [
            { "work": "encoder, 30 s", "ms": median(&mut encoder) },
            { "work": "decoder, greedy", "ms": median(&mut decoder), "ids": ids },
        ],
    });
    println!("{report}");
    Ok(())
}

/// Greedy decoding without timestamps: the whole sequence goes in at every step, as in candle's whisper example.
fn decode(model: &mut Whisper, encoded: &Tensor, decoding: &Decoding) -> Result<Vec<u32>> {
    let mut ids = decoding.prompt.clone();
    loop {
        let input = Tensor::new(ids.as_slice(), encoded.device())?.unsqueeze(0)?;
        let hidden = model.decoder.forward(&input, encoded, ids.len() == decoding.prompt.len())?;
        let last = hidden.i((.., ids.len() - 1..ids.len()))?;
        let logits = model.decoder.final_linear(&last)?.i(0)?.i(0)?;
        let id = (logits + &decoding.suppressed)?.argmax(D::Minus1)?.to_scalar::<u32>()?;
        if id == decoding.end || ids.len() >= model.config.max_target_positions / 2 {
            return Ok(ids.split_off(decoding.prompt.len()));
        }
        ids.push(id);
    }
}

fn config(document: &Value) -> Result<Config> {
    let mut document = document.clone();
    if document["suppress_tokens"].is_null() {
        document["suppress_tokens"] = json!([]);
    }
    Ok(serde_json::from_value(document)?)
}

fn decoding(document: &Value, vocabulary: usize) -> Result<Decoding> {
    let id = |name: &str| -> Result<u32> {
        let value = document[name].as_u64().with_context(|| format!("no {name}"))?;
        Ok(u32::try_from(value)?)
    };
    let mut prompt = vec![id("decoder_start_token_id")?];
    if document["is_multilingual"].as_bool() == Some(true) {
        let token = |table: &str, name: &str| document[table][name].as_u64();
        let english = token("lang_to_id", "<|en|>").context("no English")?;
        let transcribe = token("task_to_id", "transcribe").context("no task")?;
        prompt.extend([u32::try_from(english)?, u32::try_from(transcribe)?]);
    }
    prompt.push(id("no_timestamps_token_id")?);
    let mut suppressed = vec![0f32; vocabulary];
    for value in document["suppress_tokens"].as_array().into_iter().flatten() {
        let index = usize::try_from(value.as_u64().context("a suppressed token is no number")?)?;
        suppressed[index] = f32::NEG_INFINITY;
    }
    let suppressed = Tensor::new(suppressed, &Device::Cpu)?;
    Ok(Decoding { prompt, end: id("eos_token_id")?, suppressed })
}

fn read_json(path: PathBuf) -> Result<Value> {
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
