//! Whisper (Radford et al. 2022, arXiv 2212.04356), in any published size and layout: Hugging Face
//! snapshots (tiny to large-v3, turbo, distil) and CTranslate2 folders.

mod config;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod golden_speech;
mod languages;
mod lockstep;
#[cfg(test)]
mod lockstep_golden;
mod names;
mod network;
mod pieces;
mod raw;
mod recording;
mod segments;
#[cfg(test)]
mod steps;
mod stretches;
mod timestamps;
mod vocabulary;
mod warping;
mod window;
mod word_split;
mod words;

use std::time::Instant;

use percept_backbone::decode::{Suppress, SuppressAtStart, softmax};
use percept_backbone::mel::{MelFilters, log_mel};
use percept_backbone::{
    Device, Tensor, Weights, both, compute_error, fastest_precision, on_compute_threads, open_device,
};
use percept_core::transcribe::{SAMPLE_RATE, TranscribeInput, TranscribeOptions, Transcript};
use percept_core::{Error, LocalModel, Model, Precision, Predicted, RawTensor, Result, Runtime, Transcribe};

use config::{Decoding, Shape};
use network::{Decoder, Encoder, Memory};
use timestamps::TimestampRule;
use vocabulary::Vocabulary;
use window::{Request, Rules};

/// Samples between two mel frames.
const HOP: usize = 160;
/// Mel frames to a position of the encoder.
const FRAMES_A_POSITION: usize = 2;

/// A loaded Whisper.
pub(crate) struct Whisper {
    id: String,
    shape: Shape,
    decoding: Decoding,
    encoder: Encoder,
    decoder: Decoder,
    vocabulary: Vocabulary,
    rules: Rules,
    filters: MelFilters,
    device: Device,
    precision: Precision,
}

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Transcribe>>> {
    Ok(Box::new(Whisper::load(local, runtime)?))
}

impl Whisper {
    fn load(local: &LocalModel, runtime: &Runtime) -> Result<Self> {
        let device = open_device(runtime.device)?;
        // Word error rates in int8 are those in f32 (docs/performance.md).
        let precision = match runtime.precision {
            Precision::Auto => fastest_precision(&device),
            named => named,
        };
        if !device.is_cpu() && precision != Precision::F32 {
            return Err(Error::Argument {
                message: format!("precision {precision} runs on the processor only"),
                hint: Some("use `--precision f32`, or `--device cpu`".into()),
            });
        }
        let (weights, shape, decoding) = open(local, &device)?;
        let weights = weights.in_precision(precision);
        let weights_error = |error: percept_backbone::WeightsError| error.of(&local.id);
        // The tokenizer takes as long to read as the weights of a small model.
        let (vocabulary, network) = std::thread::scope(|scope| {
            let vocabulary = scope.spawn(|| {
                Vocabulary::load(local, shape.vocabulary, decoding.multilingual, decoding.no_timestamps)
            });
            let network = both(
                || Encoder::load(&weights.at("model.encoder"), &shape),
                || Decoder::load(&weights.at("model.decoder"), &shape),
            );
            (vocabulary.join(), network)
        });
        let vocabulary = vocabulary.map_err(|_| Error::argument("the tokenizer is damaged"))??;
        let (encoder, decoder) = (network.0.map_err(weights_error)?, network.1.map_err(weights_error)?);
        let rules = Rules {
            suppress: Suppress(decoding.suppress.clone().unwrap_or_else(|| vocabulary.never_said())),
            at_start: SuppressAtStart(
                decoding.suppress_at_start.clone().unwrap_or_else(|| vec![vocabulary.end]),
            ),
            timestamps: TimestampRule {
                end: vocabulary.end,
                no_timestamps: vocabulary.no_timestamps,
                max_initial: decoding.max_initial_timestamp,
            },
        };
        let filters = MelFilters::new(shape.mel_bins);
        let id = local.id.clone();
        Ok(Self { id, shape, decoding, encoder, decoder, vocabulary, rules, filters, device, precision })
    }

    /// Mel frames of a window.
    fn frames(&self) -> usize {
        self.shape.source_positions * FRAMES_A_POSITION
    }

    /// Length of a window: 30 s for every published model.
    fn window_seconds(&self) -> f64 {
        (self.frames() * HOP) as f64 / f64::from(SAMPLE_RATE)
    }

    /// Log-mel features of at most a window of samples, `[bins, frames]`, row-major.
    fn features(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let samples = &samples[..samples.len().min(self.frames() * HOP)];
        Ok(log_mel(samples, &self.filters, self.frames()))
    }

    /// Features to states, `[1, positions, dim]`.
    fn encode(&self, features: &[f32]) -> Result<Tensor> {
        Tensor::from_slice(features, (1, self.shape.mel_bins, self.frames()), &self.device)
            .and_then(|mel| mel.transpose(1, 2)?.contiguous())
            .and_then(|mel| self.encoder.forward(&mel))
            .map_err(self.compute_error())
    }

    fn remember(&self, encoded: &Tensor) -> Result<Memory> {
        self.decoder.remember(encoded).map_err(self.compute_error())
    }

    /// The language that was asked for, or the likeliest with its probability.
    fn language_of(&self, memory: &Memory, options: &TranscribeOptions) -> Result<(String, Option<f32>)> {
        if self.vocabulary.languages.is_empty() {
            return Ok(("en".into(), None));
        }
        if let Some(language) = &options.language {
            let id = self.vocabulary.language(language)?;
            let known = self.vocabulary.languages.iter().find(|(_, other)| *other == id);
            return Ok((known.map_or_else(|| language.clone(), |(code, _)| code.clone()), None));
        }
        let mut state = self.decoder.start(memory).map_err(self.compute_error())?;
        let states = self.decoder.feed(&[self.vocabulary.start], &mut state).map_err(self.compute_error())?;
        let scores =
            self.decoder.scores(&states, &[0]).map_err(self.compute_error())?.pop().unwrap_or_default();
        let languages = &self.vocabulary.languages;
        let probabilities =
            softmax(&languages.iter().map(|(_, id)| scores[*id as usize]).collect::<Vec<_>>());
        let best = (0..languages.len()).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
        let best = best.expect("the list of languages is not empty");
        Ok((languages[best].0.clone(), Some(probabilities[best])))
    }

    /// A decode behind a prompt.
    fn request<'a>(&'a self, options: &'a TranscribeOptions, prompt: &[u32]) -> Request<'a> {
        Request {
            decoder: &self.decoder,
            vocabulary: &self.vocabulary,
            rules: &self.rules,
            options,
            prompt: prompt.to_vec(),
            capacity: self.shape.target_positions,
        }
    }

    /// The heads that follow the words: those that the checkpoint names, or all of the upper half.
    fn alignment_heads(&self) -> Vec<(usize, usize)> {
        let Shape { decoder_layers, decoder_heads, .. } = self.shape;
        self.decoding.alignment_heads.clone().unwrap_or_else(|| {
            (decoder_layers / 2..decoder_layers)
                .flat_map(|layer| (0..decoder_heads).map(move |head| (layer, head)))
                .collect()
        })
    }

    fn compute_error(&self) -> impl Fn(percept_backbone::EngineError) -> Error + use<> {
        compute_error(&self.id)
    }
}

impl Model<Transcribe> for Whisper {
    fn predict(&self, inputs: &[TranscribeInput]) -> Result<Vec<Predicted<Transcript>>> {
        on_compute_threads(|| lockstep::transcribe(self, inputs, inputs.len().max(self.batch())))
    }

    fn batch(&self) -> usize {
        lockstep::most(self)
    }

    fn raw(&self, input: &TranscribeInput) -> Result<Vec<RawTensor>> {
        raw::first_window(self, input)
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}

/// Opens the weights in either layout, under Hugging Face's names.
fn open(local: &LocalModel, device: &Device) -> Result<(Weights, Shape, Decoding)> {
    if let Some(path) = local.find("model.bin")
        && local.find("model.safetensors").is_none()
    {
        let native = Weights::open_ctranslate2(path, device).map_err(|error| error.of(&local.id))?;
        let weights = native.renamed(names::from_ctranslate2);
        let (shape, decoding) = config::ctranslate2(local, &weights, &native)?;
        return Ok((weights, shape, decoding));
    }
    let (shape, decoding) = config::hugging_face(local)?;
    let weights = Weights::open_safetensors(local, device)?;
    // `WhisperModel` checkpoints leave the prefix out.
    let weights = if weights.has("model.encoder.conv1.weight") {
        weights
    } else {
        weights.renamed(|name, shape| vec![(format!("model.{name}"), 0..shape[0])])
    };
    Ok((weights, shape, decoding))
}

fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}
