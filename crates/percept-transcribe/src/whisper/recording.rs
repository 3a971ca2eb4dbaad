//! A whole recording: the window led over it by the timestamps that it predicts (Whisper paper,
//! section 3.8; `whisper/transcribe.py`), over the stretches where somebody speaks.

use std::time::Instant;

use percept_core::transcribe::{
    DropReason, DroppedSpan, SAMPLE_RATE, Segment, Sound, Step, TranscribeInput, TranscribeOptions,
    Transcript,
};
use percept_core::{Predicted, Result, Timings};

use super::segments::{self, Piece};
use super::window::{Decoded, Spent};
use super::words::Aligner;
use super::{Whisper, milliseconds};
use crate::repetition;
use crate::voice::{self, Span};

/// Above this temperature a text is no good prompt for the next window.
const PROMPT_RESET_TEMPERATURE: f32 = 0.5;
/// What is shorter than this is not decoded: there is no word in it.
const MIN_WINDOW: f64 = 0.1;
/// Sound that never gets louder than this is digital silence.
const SILENCE: f32 = 1e-4;
/// A sentence may be said so many times in a row.
const MAX_EQUAL_SEGMENTS: usize = 3;

/// One recording on its way through the model.
pub(super) struct Recording<'a> {
    whisper: &'a Whisper,
    input: &'a TranscribeInput,
    options: &'a TranscribeOptions,
    language: Option<String>,
    transcript: Transcript,
    /// The text so far, untrimmed.
    text: String,
    /// Tokens of the text so far.
    said: Vec<u32>,
    /// Tokens before this index are no prompt.
    prompt_from: usize,
    last_word_end: f64,
    timings: Timings,
    encoder: f64,
    spent: Spent,
}

/// See [`Recording::length`].
#[derive(Clone, Copy)]
struct Length {
    segments: usize,
    dropped: usize,
    text: usize,
    said: usize,
}

impl<'a> Recording<'a> {
    pub(super) fn new(whisper: &'a Whisper, input: &'a TranscribeInput) -> Result<Self> {
        let options = input.options.as_ref();
        let mut said = Vec::new();
        if let Some(prompt) = options.prompt.as_deref().map(str::trim).filter(|prompt| !prompt.is_empty()) {
            said = whisper.vocabulary.tokens(&format!(" {prompt}"))?;
        }
        Ok(Self {
            whisper,
            input,
            options,
            language: None,
            transcript: Transcript { duration: round(input.sound.seconds()), ..Transcript::default() },
            text: String::new(),
            said,
            prompt_from: 0,
            last_word_end: 0.0,
            timings: Timings::default(),
            encoder: 0.0,
            spent: Spent::default(),
        })
    }

    /// Transcribes it.
    pub(super) fn run(mut self) -> Result<Predicted<Transcript>> {
        // A wrong language or an impossible goal is said before any work is done.
        self.whisper.vocabulary.opening(self.options.language.as_deref(), self.options.goal)?;
        let spans = self.speech();
        let known = self.input.steps.as_ref().map(|steps| steps.known()).unwrap_or_default();
        let last = known.last().map(|step| (step.speech, step.next));
        known.into_iter().for_each(|step| self.repeat(step));
        for span in &spans {
            match last {
                Some((speech, _)) if span.start < speech => {}
                Some((speech, next)) if span.start == speech => self.span(*span, next, &spans)?,
                _ => self.span(*span, span.start, &spans)?,
            }
        }
        self.transcript.dropped.sort_by(|a, b| a.start.total_cmp(&b.start));
        self.transcript.text = self.text.trim().to_owned();
        self.transcript.language = self.language;
        let (prepare, decoder) = (self.timings.prepare, self.spent.milliseconds);
        self.timings.stages = vec![("mel", prepare), ("encoder", self.encoder), ("decoder", decoder)];
        self.timings.counts = vec![("tokens", self.spent.tokens)];
        self.timings.model = self.encoder + decoder;
        Ok(Predicted { output: self.transcript, timings: self.timings })
    }

    /// The stretches to decode; the others are listed as dropped.
    fn speech(&mut self) -> Vec<Span> {
        let Sound { samples } = &self.input.sound;
        let whole = Span { start: 0.0, end: self.input.sound.seconds() };
        if samples.is_empty() {
            return Vec::new();
        }
        if !self.options.vad {
            return vec![whole];
        }
        let began = Instant::now();
        let spans = voice::speech(samples);
        self.timings.prepare += milliseconds(began);
        let mut position = 0.0;
        for next in spans.iter().chain([&Span { start: whole.end, end: whole.end }]) {
            if next.start - position > MIN_WINDOW {
                self.drop(Span { start: position, end: next.start }, DropReason::NoVoice, None);
            }
            position = next.end;
        }
        spans
    }

    /// Decodes a stretch of speech from a position in it.
    fn span(&mut self, span: Span, mut position: f64, speech: &[Span]) -> Result<()> {
        while span.end - position > MIN_WINDOW {
            let window =
                Span { start: position, end: span.end.min(position + self.whisper.window_seconds()) };
            let before = self.length();
            let next = self.window(window, speech)?;
            // A timestamp at the very start would stand still for ever.
            position = if next > position + MIN_WINDOW { next } else { window.end };
            if let Some(steps) = &self.input.steps {
                steps.keep(&self.step(span, position, before));
            }
        }
        Ok(())
    }

    /// How much there is of all that grows.
    fn length(&self) -> Length {
        Length {
            segments: self.transcript.segments.len(),
            dropped: self.transcript.dropped.len(),
            text: self.text.len(),
            said: self.said.len(),
        }
    }

    /// What has come since then.
    fn step(&self, span: Span, next: f64, since: Length) -> Step {
        Step {
            speech: span.start,
            next,
            segments: self.transcript.segments[since.segments..].to_vec(),
            dropped: self.transcript.dropped[since.dropped..].to_vec(),
            text: self.text[since.text..].to_owned(),
            tokens: self.said[since.said..].to_vec(),
            prompt_from: self.prompt_from,
            last_word_end: self.last_word_end,
            language: self.language.clone(),
            language_probability: self.transcript.language_probability,
        }
    }

    /// Makes a step of an earlier run without decoding anything.
    fn repeat(&mut self, step: Step) {
        if let Some(live) = &self.input.live {
            step.segments.iter().for_each(|segment| live(segment));
        }
        self.transcript.segments.extend(step.segments);
        self.transcript.dropped.extend(step.dropped);
        self.text.push_str(&step.text);
        self.said.extend(step.tokens);
        self.prompt_from = step.prompt_from;
        self.last_word_end = step.last_word_end;
        self.language = step.language;
        self.transcript.language_probability = step.language_probability;
    }

    /// Decodes a window and says where the next begins.
    fn window(&mut self, window: Span, speech: &[Span]) -> Result<f64> {
        let began = Instant::now();
        let features = self.whisper.features(self.samples(window))?;
        self.timings.prepare += milliseconds(began);
        let began = Instant::now();
        let encoded = self.whisper.encode(&features)?;
        let memory = self.whisper.remember(&encoded)?;
        self.encoder += milliseconds(began);
        if self.language.is_none() {
            let (language, probability) = self.whisper.language_of(&memory, self.options)?;
            self.language = Some(language);
            self.transcript.language_probability = probability;
        }
        let opening = self.whisper.vocabulary.opening(self.language.as_deref(), self.options.goal)?;
        let prompt = self.prompt(&opening);
        let request = self.whisper.request(self.options, &prompt);
        let decoded = request.decode(&memory, &mut self.spent).map_err(self.whisper.compute_error())?;
        if request.is_silence(&decoded) {
            let text = self.whisper.vocabulary.text(&decoded.tokens);
            self.drop(window, DropReason::NoSpeech, Some(text));
            return Ok(window.end);
        }
        let began = Instant::now();
        let (mut pieces, mut next) = segments::cut(&decoded.tokens, &self.whisper.vocabulary, window);
        if self.options.word_timestamps {
            let aligner = Aligner { whisper: self.whisper, memory: &memory, opening: &opening };
            aligner.align(&mut pieces, window, self.language.as_deref(), self.last_word_end)?;
            if let Some(end) = pieces.iter().rev().find_map(Piece::last_word_end) {
                self.last_word_end = end;
                if next.follows_text && end > window.start {
                    next.position = end;
                }
            }
        }
        self.keep(pieces, &decoded, speech);
        self.timings.finish += milliseconds(began);
        Ok(next.position)
    }

    /// Takes the pieces that can be believed into the transcript.
    fn keep(&mut self, pieces: Vec<Piece>, decoded: &Decoded, speech: &[Span]) {
        for piece in pieces {
            let span = Span { start: piece.start, end: piece.end };
            let text = self.whisper.vocabulary.text(&piece.tokens);
            if piece.end <= piece.start || text.trim().is_empty() {
                continue;
            }
            if !text.chars().any(char::is_alphanumeric) {
                // A lone full stop is how the model shrugs.
                self.drop(span, DropReason::NoSpeech, Some(text));
                continue;
            }
            if self.is_silent(span, speech) {
                self.drop(span, DropReason::Silence, Some(text));
                continue;
            }
            if self.is_said_again(&text) {
                self.drop(span, DropReason::Repetition, Some(text));
                continue;
            }
            self.push(piece, text, decoded);
        }
        if !self.options.condition_on_previous_text
            || decoded.temperature > PROMPT_RESET_TEMPERATURE
            || decoded.doubt == Some(DropReason::Repetition)
        {
            self.prompt_from = self.said.len();
        }
    }

    fn push(&mut self, mut piece: Piece, mut text: String, decoded: &Decoded) {
        let vocabulary = &self.whisper.vocabulary;
        let said = piece.tokens.iter().copied().filter(|token| *token < vocabulary.end).collect::<Vec<_>>();
        if let Some(found) = repetition::find(&said) {
            let (once, again) =
                (vocabulary.text(&said[..found.start]), vocabulary.text(&said[found.start..]));
            // Where in the piece the loop begins is not known; its end is where the piece ends.
            let share = found.start as f64 / said.len() as f64;
            let middle = piece.start + (piece.end - piece.start) * share;
            self.drop(Span { start: middle, end: piece.end }, DropReason::Repetition, Some(again));
            piece.cut(&said[..found.start], middle);
            text = once;
            if text.trim().is_empty() {
                return;
            }
        }
        let segment = Segment {
            id: self.transcript.segments.len(),
            start: round(piece.start),
            end: round(piece.end),
            text: text.trim().to_owned(),
            temperature: decoded.temperature,
            avg_logprob: decoded.avg_logprob,
            compression_ratio: decoded.compression_ratio,
            no_speech_prob: decoded.no_speech_prob,
            doubt: decoded.doubt,
            words: piece.words,
            tokens: piece.tokens.clone(),
        };
        if let Some(live) = &self.input.live {
            live(&segment);
        }
        self.said.extend(piece.tokens);
        self.text.push_str(&text);
        self.transcript.segments.push(segment);
    }

    /// Previous text, as much as half the decoder holds, and the opening.
    fn prompt(&self, opening: &[u32]) -> Vec<u32> {
        let mut prompt = Vec::new();
        let past = &self.said[self.prompt_from..];
        if let (Some(previous), false) = (self.whisper.vocabulary.previous, past.is_empty()) {
            let room = self.whisper.shape.target_positions / 2 - 1;
            prompt.push(previous);
            prompt.extend(&past[past.len().saturating_sub(room)..]);
        }
        prompt.extend(opening);
        if !self.options.timestamps {
            prompt.push(self.whisper.vocabulary.no_timestamps);
        }
        prompt
    }

    fn samples(&self, span: Span) -> &'a [f32] {
        let samples = &self.input.sound.samples;
        let index = |seconds: f64| ((seconds * f64::from(SAMPLE_RATE)).round() as usize).min(samples.len());
        &samples[index(span.start)..index(span.end)]
    }

    /// Whether there is no sound under a text: no voice, or digital silence.
    fn is_silent(&self, span: Span, speech: &[Span]) -> bool {
        let voiceless = self.options.vad && !speech.iter().any(|other| other.overlaps(&span));
        voiceless || self.samples(span).iter().all(|sample| sample.abs() < SILENCE)
    }

    fn is_said_again(&self, text: &str) -> bool {
        let same = |segment: &&Segment| segment.text == text.trim();
        self.transcript.segments.iter().rev().take_while(same).count() >= MAX_EQUAL_SEGMENTS
    }

    fn drop(&mut self, span: Span, reason: DropReason, text: Option<String>) {
        let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let (start, end) = (round(span.start), round(span.end));
        self.transcript.dropped.push(DroppedSpan { start, end, reason, text });
    }
}

/// To milliseconds: more digits would be noise.
fn round(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}
