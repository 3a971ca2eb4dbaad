//! One window of thirty seconds: from encoded sound to tokens that can be trusted, at rising
//! temperatures (`whisper/transcribe.py`, `decode_with_fallback`).

use std::io::Write;
use std::time::Instant;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use percept_backbone::Result;
use percept_backbone::decode::{
    Hypothesis, Rule, Search, Strategy, Suppress, SuppressAtStart, generate, softmax,
};
use percept_core::transcribe::{DropReason, TranscribeOptions};

use super::network::{Decoder, Memory};
use super::timestamps::TimestampRule;
use super::vocabulary::Vocabulary;
use crate::repetition;

/// What a checkpoint forbids.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) suppress: Suppress,
    pub(super) at_start: SuppressAtStart,
    pub(super) timestamps: TimestampRule,
}

impl Rules {
    /// In the order in which transformers applies them.
    pub(super) fn list(&self, timestamps: bool) -> Vec<&dyn Rule> {
        let mut list: Vec<&dyn Rule> = vec![&self.at_start, &self.suppress];
        if timestamps {
            list.push(&self.timestamps);
        }
        list
    }
}

/// The text of a window, as it was taken.
#[derive(Clone, Debug)]
pub(super) struct Decoded {
    /// Without the end token.
    pub(super) tokens: Vec<u32>,
    pub(super) temperature: f32,
    pub(super) avg_logprob: f32,
    pub(super) compression_ratio: f32,
    pub(super) no_speech_prob: f32,
    /// Why it is not trusted, when it is not.
    pub(super) doubt: Option<DropReason>,
}

/// What a decode needs beside the window.
pub(super) struct Request<'a> {
    pub(super) decoder: &'a Decoder,
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) rules: &'a Rules,
    pub(super) options: &'a TranscribeOptions,
    /// Previous text, opening tokens, and perhaps the token that turns timestamps off.
    pub(super) prompt: &'a [u32],
    /// Tokens that the decoder can hold.
    pub(super) capacity: usize,
}

/// Tokens that were decoded, and the milliseconds that they took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    pub(super) tokens: usize,
    pub(super) milliseconds: f64,
}

impl Request<'_> {
    /// Decodes at rising temperatures until the text can be trusted; else takes the likeliest.
    pub(super) fn decode(&self, memory: &Memory, spent: &mut Spent) -> Result<Decoded> {
        let mut tried: Vec<Decoded> = Vec::new();
        let temperatures = match self.options.temperatures.as_slice() {
            [] => &[0.0],
            some => some,
        };
        for temperature in temperatures {
            let began = Instant::now();
            let decoded = self.decode_at(memory, *temperature)?;
            spent.milliseconds += began.elapsed().as_secs_f64() * 1e3;
            spent.tokens += decoded.tokens.len() + 1;
            if decoded.doubt.is_none() || self.is_silence(&decoded) {
                return Ok(decoded);
            }
            tried.push(decoded);
        }
        // The prompt is reset after a high temperature, so the last one tried is what counts.
        let last = tried.last().map_or(0.0, |decoded| decoded.temperature);
        let trusted = |decoded: &&Decoded| decoded.doubt != Some(DropReason::Repetition);
        let likelier = |a: &&Decoded, b: &&Decoded| a.avg_logprob.total_cmp(&b.avg_logprob);
        let best = tried.iter().filter(trusted).max_by(likelier).or_else(|| tried.iter().max_by(likelier));
        Ok(Decoded { temperature: last, ..best.expect("at least one temperature was tried").clone() })
    }

    /// Whether the model says that nobody speaks and does not trust its words either.
    pub(super) fn is_silence(&self, decoded: &Decoded) -> bool {
        let silent = self.options.no_speech_threshold.is_some_and(|limit| decoded.no_speech_prob > limit);
        let unsure = self.options.logprob_threshold.is_none_or(|limit| decoded.avg_logprob < limit);
        silent && unsure
    }

    fn decode_at(&self, memory: &Memory, temperature: f32) -> Result<Decoded> {
        let strategy = match self.options {
            options if temperature > 0.0 => {
                Strategy::Sample { temperature, candidates: options.best_of, seed: options.seed }
            }
            options if options.beam_size > 1 => {
                Strategy::Beam { beams: options.beam_size, length_penalty: options.length_penalty }
            }
            _ => Strategy::Greedy,
        };
        let (hypothesis, no_speech_prob) = self.search(memory, strategy, self.capacity / 2)?;
        let avg_logprob = hypothesis.mean_logprob();
        let mut tokens = hypothesis.tokens;
        if tokens.last() == Some(&self.vocabulary.end) {
            tokens.pop();
        }
        let text = self.vocabulary.text(&tokens);
        let compression_ratio = compression_ratio(text.trim());
        let said = tokens.iter().filter(|token| **token < self.vocabulary.end).collect::<Vec<_>>();
        let repeats = self.options.compression_ratio_threshold.is_some_and(|limit| compression_ratio > limit);
        let doubt = if repeats || repetition::find(&said).is_some() {
            Some(DropReason::Repetition)
        } else if self.options.logprob_threshold.is_some_and(|limit| avg_logprob < limit) {
            Some(DropReason::LowProbability)
        } else {
            None
        };
        Ok(Decoded { tokens, temperature, avg_logprob, compression_ratio, no_speech_prob, doubt })
    }

    /// The best hypothesis, of at most `max_new` tokens, and the probability that nobody speaks.
    pub(super) fn search(
        &self,
        memory: &Memory,
        strategy: Strategy,
        max_new: usize,
    ) -> Result<(Hypothesis, f32)> {
        let mut state = self.decoder.start(memory)?;
        let states = self.decoder.feed(self.prompt, &mut state)?;
        let start = self.prompt.iter().rposition(|token| *token == self.vocabulary.start).unwrap_or(0);
        let mut scores = self.decoder.scores(&states, &[start, self.prompt.len() - 1])?;
        let first = scores.pop().unwrap_or_default();
        let no_speech_prob = match (self.vocabulary.no_speech, scores.pop()) {
            (Some(token), Some(scores)) => softmax(&scores).get(token as usize).copied().unwrap_or(0.0),
            _ => 0.0,
        };
        let rules = self.rules.list(!self.prompt.contains(&self.vocabulary.no_timestamps));
        let max_new = max_new.min(self.capacity - self.prompt.len()).max(1);
        let search = Search { strategy, rules: &rules, end: self.vocabulary.end, max_new };
        let best = generate(&self.decoder, state, first, &search)?.into_iter().next();
        Ok((best.expect("a search gives at least one hypothesis"), no_speech_prob))
    }
}

/// Bytes of a text over its zlib-compressed bytes: what repeats itself compresses well.
fn compression_ratio(text: &str) -> f32 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let compressed =
        encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).map_or(1, |c| c.len());
    text.len() as f32 / compressed as f32
}
