//! A whole recording: the window led over it by the timestamps that it predicts (Whisper paper,
//! section 3.8; `whisper/transcribe.py`), over the stretches where somebody speaks.

use std::time::Instant;

use percept_core::transcribe::{
    DropReason, DroppedSpan, SAMPLE_RATE, Segment, Sound, Step, TranscribeInput, TranscribeOptions,
    Transcript,
};
use percept_core::{Predicted, Result, Timings};

use super::segments::{self, Piece};
use super::stretches::{MIN_WINDOW, Place, Stretches, after};
use super::window::{Attempt, Decoded, Spent, Taken, is_silence};
use super::words::Aligner;
use super::{Whisper, milliseconds};
use crate::repetition;
use crate::voice::{self, Span};

/// Above this temperature a text is no good prompt for the next window.
const PROMPT_RESET_TEMPERATURE: f32 = 0.5;
/// Sound that never gets louder than this is digital silence.
const SILENCE: f32 = 1e-4;
/// A sentence may be said so many times in a row.
const MAX_EQUAL_SEGMENTS: usize = 3;

/// One recording on its way through the model.
pub(super) struct Recording<'a> {
    whisper: &'a Whisper,
    input: &'a TranscribeInput,
    options: &'a TranscribeOptions,
    speech: Vec<Span>,
    stretches: Stretches,
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
        // A wrong language or an impossible goal is said before any work is done.
        whisper.vocabulary.opening(options.language.as_deref(), options.goal)?;
        let mut said = Vec::new();
        if let Some(prompt) = options.prompt.as_deref().map(str::trim).filter(|prompt| !prompt.is_empty()) {
            said = whisper.vocabulary.tokens(&format!(" {prompt}"))?;
        }
        Ok(Self {
            whisper,
            input,
            options,
            speech: Vec::new(),
            stretches: Stretches::default(),
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

    /// Finds out where somebody speaks, and repeats what an earlier run has decoded.
    pub(super) fn begin(&mut self) {
        let speech = self.find_speech();
        self.begin_with(speech);
    }

    /// Begins to decode these stretches of speech.
    pub(super) fn begin_with(&mut self, speech: Vec<Span>) {
        self.speech = speech;
        let known = self.input.steps.as_ref().map(|steps| steps.known()).unwrap_or_default();
        let last = known.last().map(|step| (step.speech, step.next));
        known.into_iter().for_each(|step| self.repeat(step));
        self.stretches = Stretches::new(&self.speech, self.whisper.window_seconds(), last);
    }

    /// A window that can be decoded now, with its decode; nothing where there is none, or where the next begins at the
    /// end of one that is under way.
    pub(super) fn next(&mut self) -> Result<Option<(Place, Attempt<'a>)>> {
        let Some(place) = self.stretches.next(self.stretches_are_independent()) else { return Ok(None) };
        Ok(Some((place, self.attempt(place.window)?)))
    }

    /// Whether no window needs to know what was said before it: then stretches can be decoded side by side. Words get
    /// their times behind those before them, and an unknown language is that of the first window.
    fn stretches_are_independent(&self) -> bool {
        let Self { options, language, .. } = self;
        let unprompted = !options.condition_on_previous_text && options.prompt.is_none();
        unprompted && !options.word_timestamps && language.is_some()
    }

    /// Takes the text of a window, which enters the transcript behind all that is said before it.
    pub(super) fn take(&mut self, place: Place, taken: Taken) -> Result<()> {
        self.spent.tokens += taken.spent.tokens;
        self.spent.milliseconds += taken.spent.milliseconds;
        if !self.stretches_are_independent() {
            let next = self.settle(place.speech, place.window, &taken)?;
            self.stretches.settled(place, next);
            return Ok(());
        }
        let next = match is_silence(self.options, &taken.decoded) {
            true => place.window.end,
            false => segments::cut(&taken.decoded.tokens, &self.whisper.vocabulary, place.window).1.position,
        };
        self.stretches.hold(place, taken, next);
        while let Some((place, taken)) = self.stretches.pop() {
            self.settle(place.speech, place.window, &taken)?;
        }
        Ok(())
    }

    /// The transcript, when no window is left.
    pub(super) fn finish(mut self) -> Predicted<Transcript> {
        self.transcript.dropped.sort_by(|a, b| a.start.total_cmp(&b.start));
        self.transcript.text = self.text.trim().to_owned();
        self.transcript.language = self.language;
        let (prepare, decoder) = (self.timings.prepare, self.spent.milliseconds);
        self.timings.stages = vec![("mel", prepare), ("encoder", self.encoder), ("decoder", decoder)];
        self.timings.counts = vec![("tokens", self.spent.tokens)];
        self.timings.model = self.encoder + decoder;
        Predicted { output: self.transcript, timings: self.timings }
    }

    /// The stretches to decode; the others are listed as dropped.
    fn find_speech(&mut self) -> Vec<Span> {
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

    /// How much there is of all that grows.
    fn length(&self) -> Length {
        Length {
            segments: self.transcript.segments.len(),
            dropped: self.transcript.dropped.len(),
            text: self.text.len(),
            said: self.said.len(),
        }
    }

    /// What has come since then of the stretch that begins at `speech`.
    fn step(&self, speech: f64, next: f64, since: Length) -> Step {
        Step {
            speech,
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

    /// Encodes a window and begins to decode it.
    fn attempt(&mut self, window: Span) -> Result<Attempt<'a>> {
        let whisper = self.whisper;
        let began = Instant::now();
        let features = whisper.features(self.samples(window))?;
        self.timings.prepare += milliseconds(began);
        let began = Instant::now();
        let memory = whisper.remember(&whisper.encode(&features)?)?;
        self.encoder += milliseconds(began);
        if self.language.is_none() {
            let (language, probability) = whisper.language_of(&memory, self.options)?;
            self.language = Some(language);
            self.transcript.language_probability = probability;
        }
        let request = whisper.request(self.options, &self.prompt(&self.opening()?));
        Attempt::begin(request, memory).map_err(whisper.compute_error())
    }

    fn opening(&self) -> Result<Vec<u32>> {
        self.whisper.vocabulary.opening(self.language.as_deref(), self.options.goal)
    }

    /// Takes the text of a window of the stretch that begins at `speech` into the transcript, and says where the next
    /// window begins.
    fn settle(&mut self, speech: f64, window: Span, taken: &Taken) -> Result<f64> {
        let before = self.length();
        let next = after(window, self.text_end(window, taken)?);
        if let Some(steps) = &self.input.steps {
            steps.keep(&self.step(speech, next, before));
        }
        Ok(next)
    }

    /// Takes the text of a window into the transcript, and says where it breaks off.
    fn text_end(&mut self, window: Span, Taken { decoded, memory, .. }: &Taken) -> Result<f64> {
        if is_silence(self.options, decoded) {
            let text = self.whisper.vocabulary.text(&decoded.tokens);
            self.drop(window, DropReason::NoSpeech, Some(text));
            return Ok(window.end);
        }
        let began = Instant::now();
        let (mut pieces, mut next) = segments::cut(&decoded.tokens, &self.whisper.vocabulary, window);
        if self.options.word_timestamps {
            let opening = self.opening()?;
            let aligner = Aligner { whisper: self.whisper, memory, opening: &opening };
            aligner.align(&mut pieces, window, self.language.as_deref(), self.last_word_end)?;
            if let Some(end) = pieces.iter().rev().find_map(Piece::last_word_end) {
                self.last_word_end = end;
                if next.follows_text && end > window.start {
                    next.position = end;
                }
            }
        }
        self.keep(pieces, decoded);
        self.timings.finish += milliseconds(began);
        Ok(next.position)
    }

    /// Takes the pieces that can be believed into the transcript.
    fn keep(&mut self, pieces: Vec<Piece>, decoded: &Decoded) {
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
            if self.is_silent(span) {
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
    fn is_silent(&self, span: Span) -> bool {
        let voiceless = self.options.vad && !self.speech.iter().any(|other| other.overlaps(&span));
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
