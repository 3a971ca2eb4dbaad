//! One window of thirty seconds: from encoded sound to tokens that can be trusted, at rising
//! temperatures (`whisper/transcribe.py`, `decode_with_fallback`).

use std::io::Write;
use std::time::Instant;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use percept_backbone::Result;
use percept_backbone::decode::{
    Hypothesis, Rule, Search, Stopping, Strategy, Suppress, SuppressAtStart, Walk, softmax,
};
use percept_core::transcribe::{DropReason, TranscribeOptions};

use super::milliseconds;
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
    pub(super) prompt: Vec<u32>,
    /// Tokens that the decoder can hold.
    pub(super) capacity: usize,
}

/// Tokens that were decoded, and the milliseconds that they took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    pub(super) tokens: usize,
    pub(super) milliseconds: f64,
}

/// A search in a window, and the probability that nobody speaks in it.
pub(super) type Begun<'a> = (Walk<'a, Decoder>, f32);

/// A window that is decoded at rising temperatures until its text can be trusted.
pub(super) struct Attempt<'a> {
    request: Request<'a>,
    memory: Memory,
    /// What came of the temperatures before this one.
    tried: Vec<Decoded>,
    begun: Begun<'a>,
    spent: Spent,
}

/// What becomes of an attempt whose search has ended.
pub(super) enum Ended<'a> {
    /// A text was taken.
    Taken(Taken),
    /// It is tried at the next temperature.
    Again(Box<Attempt<'a>>),
}

/// The text of a window, with what it came from and what it cost.
pub(super) struct Taken {
    pub(super) decoded: Decoded,
    pub(super) memory: Memory,
    pub(super) spent: Spent,
}

impl<'a> Attempt<'a> {
    pub(super) fn begin(request: Request<'a>, memory: Memory) -> Result<Self> {
        let began = Instant::now();
        let begun = request.begin_at(&memory, request.temperatures()[0])?;
        let spent = Spent { tokens: 0, milliseconds: milliseconds(began) };
        Ok(Self { request, memory, tried: Vec::new(), begun, spent })
    }

    pub(super) fn walk(&mut self) -> &mut Walk<'a, Decoder> {
        &mut self.begun.0
    }

    pub(super) fn has_ended(&self) -> bool {
        self.begun.0.ended()
    }

    /// Adds its share of steps that were taken with others.
    pub(super) fn spend(&mut self, milliseconds: f64) {
        self.spent.milliseconds += milliseconds;
    }

    /// Takes the text of a search that has ended, or begins anew at the next temperature.
    pub(super) fn settle(self) -> Result<Ended<'a>> {
        let began = Instant::now();
        let Self { request, memory, mut tried, begun: (walk, no_speech_prob), mut spent } = self;
        let temperatures = request.temperatures();
        let decoded = request.decoded(walk, temperatures[tried.len()], no_speech_prob);
        spent.tokens += decoded.tokens.len() + 1;
        if decoded.doubt.is_none() || is_silence(request.options, &decoded) {
            spent.milliseconds += milliseconds(began);
            return Ok(Ended::Taken(Taken { decoded, memory, spent }));
        }
        tried.push(decoded);
        if let Some(temperature) = temperatures.get(tried.len()) {
            let begun = request.begin_at(&memory, *temperature)?;
            spent.milliseconds += milliseconds(began);
            return Ok(Ended::Again(Box::new(Self { request, memory, tried, begun, spent })));
        }
        // The prompt is reset after a high temperature, so the last one tried is what counts.
        let last = tried.last().map_or(0.0, |decoded| decoded.temperature);
        let trusted = |decoded: &&Decoded| decoded.doubt != Some(DropReason::Repetition);
        let likelier = |a: &&Decoded, b: &&Decoded| a.avg_logprob.total_cmp(&b.avg_logprob);
        let best = tried.iter().filter(trusted).max_by(likelier).or_else(|| tried.iter().max_by(likelier));
        let best = best.expect("at least one temperature was tried").clone();
        Ok(Ended::Taken(Taken { decoded: Decoded { temperature: last, ..best }, memory, spent }))
    }
}

/// Whether the model says that nobody speaks and does not trust its words either.
pub(super) fn is_silence(options: &TranscribeOptions, decoded: &Decoded) -> bool {
    let silent = options.no_speech_threshold.is_some_and(|limit| decoded.no_speech_prob > limit);
    let unsure = options.logprob_threshold.is_none_or(|limit| decoded.avg_logprob < limit);
    silent && unsure
}

impl<'a> Request<'a> {
    /// In the order in which they are tried; there is at least one.
    fn temperatures(&self) -> &'a [f32] {
        match self.options.temperatures.as_slice() {
            [] => &[0.0],
            some => some,
        }
    }

    fn begin_at(&self, memory: &Memory, temperature: f32) -> Result<Begun<'a>> {
        let strategy = match self.options {
            options if temperature > 0.0 => Strategy::Sample {
                temperature,
                top_k: None,
                top_p: None,
                candidates: options.best_of,
                seed: options.seed,
            },
            options if options.beam_size > 1 => Strategy::Beam {
                beams: options.beam_size,
                length_penalty: options.length_penalty,
                stopping: Stopping::Likely,
            },
            _ => Strategy::Greedy,
        };
        self.begin(memory, strategy, self.capacity / 2)
    }

    /// The text that a search has found, and whether it is trusted.
    fn decoded(&self, walk: Walk<'_, Decoder>, temperature: f32, no_speech_prob: f32) -> Decoded {
        let hypothesis = best(walk);
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
        Decoded { tokens, temperature, avg_logprob, compression_ratio, no_speech_prob, doubt }
    }

    /// The best hypothesis, of at most `max_new` tokens, and the probability that nobody speaks.
    pub(super) fn search(
        &self,
        memory: &Memory,
        strategy: Strategy,
        max_new: usize,
    ) -> Result<(Hypothesis, f32)> {
        let (mut walk, no_speech_prob) = self.begin(memory, strategy, max_new)?;
        walk.run(self.decoder)?;
        Ok((best(walk), no_speech_prob))
    }

    /// Reads the prompt.
    pub(super) fn begin(&self, memory: &Memory, strategy: Strategy, max_new: usize) -> Result<Begun<'a>> {
        let mut state = self.decoder.start(memory)?;
        let states = self.decoder.feed(&self.prompt, &mut state)?;
        let start = self.prompt.iter().rposition(|token| *token == self.vocabulary.start).unwrap_or(0);
        let mut scores = self.decoder.scores(&states, &[start, self.prompt.len() - 1])?;
        let first = scores.pop().unwrap_or_default();
        let no_speech_prob = match (self.vocabulary.no_speech, scores.pop()) {
            (Some(token), Some(scores)) => softmax(&scores).get(token as usize).copied().unwrap_or(0.0),
            _ => 0.0,
        };
        let rules = self.rules.list(!self.prompt.contains(&self.vocabulary.no_timestamps));
        let max_new = max_new.min(self.capacity - self.prompt.len()).max(1);
        let search = Search { strategy, rules, end: self.vocabulary.end, max_new };
        Ok((Walk::begin(self.decoder, state, first, search)?, no_speech_prob))
    }
}

fn best(walk: Walk<'_, Decoder>) -> Hypothesis {
    walk.finish().into_iter().next().expect("a search gives at least one hypothesis")
}

/// Bytes of a text over its zlib-compressed bytes: what repeats itself compresses well.
fn compression_ratio(text: &str) -> f32 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let compressed =
        encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).map_or(1, |c| c.len());
    text.len() as f32 / compressed as f32
}
