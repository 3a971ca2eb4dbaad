//! Speech to text: what goes in and what comes out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The sample rate of every [`Sound`], in hertz.
pub const SAMPLE_RATE: u32 = 16_000;

/// Decoded sound: one channel at [`SAMPLE_RATE`], samples in -1 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sound {
    /// Mono samples at 16 kHz.
    pub samples: Vec<f32>,
}

impl Sound {
    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(SAMPLE_RATE)
    }
}

/// One recording and what is asked of it.
#[derive(Clone)]
pub struct TranscribeInput {
    /// The recording.
    pub sound: Sound,
    /// What is asked.
    pub options: Arc<TranscribeOptions>,
    /// Called with every segment as soon as it is final.
    pub live: Option<LiveSegments>,
    /// Where the way through the recording is kept, so that another run can go on from there.
    pub steps: Option<Arc<dyn Steps>>,
}

impl TranscribeInput {
    /// A recording that nobody listens to meanwhile.
    pub fn new(sound: Sound, options: Arc<TranscribeOptions>) -> Self {
        Self { sound, options, live: None, steps: None }
    }
}

/// The way through a long recording, step by step.
pub trait Steps: Send + Sync {
    /// The steps that an earlier run of the same model with the same options made of the same recording, in order.
    fn known(&self) -> Vec<Step>;

    /// Another step is made. What cannot be kept costs a later run time, not this one its result.
    fn keep(&self, step: &Step);
}

/// What decoding one window has added to a transcript, and where the next begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Start of the stretch of speech that the window lies in, in seconds.
    pub speech: f64,
    /// Start of the next window in that stretch, in seconds.
    pub next: f64,
    /// New segments.
    pub segments: Vec<Segment>,
    /// New dropped spans.
    pub dropped: Vec<DroppedSpan>,
    /// New text, untrimmed.
    pub text: String,
    /// New tokens of the text.
    pub tokens: Vec<u32>,
    /// Tokens of the whole text before this index are no prompt.
    pub prompt_from: usize,
    /// End of the last word that was aligned, in seconds.
    pub last_word_end: f64,
    /// The language so far.
    pub language: Option<String>,
    /// Its probability.
    pub language_probability: Option<f32>,
}

/// A listener for segments as they are decoded.
pub type LiveSegments = Arc<dyn Fn(&Segment) + Send + Sync>;

/// How to transcribe. The defaults are those of openai-whisper's command line, except that voice
/// activity detection is on.
#[derive(Clone, Debug, PartialEq)]
pub struct TranscribeOptions {
    /// A language code such as `en`; detected when absent.
    pub language: Option<String>,
    /// Transcribe, or translate into English.
    pub goal: Goal,
    /// Beams of the search at temperature 0; 1 is greedy.
    pub beam_size: usize,
    /// Candidates sampled at temperatures above 0.
    pub best_of: usize,
    /// Temperatures that are tried in order until a decoding is trusted.
    pub temperatures: Vec<f32>,
    /// Above this ratio of bytes to zlib-compressed bytes a decoding is taken for a repetition.
    pub compression_ratio_threshold: Option<f32>,
    /// Below this mean log-probability of the tokens a decoding is not trusted.
    pub logprob_threshold: Option<f32>,
    /// Above this probability of `<|nospeech|>` a window is silent, if its decoding is not trusted
    /// either.
    pub no_speech_threshold: Option<f32>,
    /// Whether the text so far is the prompt of the next window.
    pub condition_on_previous_text: bool,
    /// Text to put before the first window.
    pub prompt: Option<String>,
    /// Exponent of the length penalty in beam search (Hugging Face's meaning: scores are divided by
    /// length to this power).
    pub length_penalty: f32,
    /// Whether words get times of their own.
    pub word_timestamps: bool,
    /// Whether voice activity detection chooses what is decoded.
    pub vad: bool,
    /// Whether segments have times. Without them every window is one segment.
    pub timestamps: bool,
    /// Seed of the sampling at temperatures above 0.
    pub seed: u64,
}

impl Default for TranscribeOptions {
    fn default() -> Self {
        Self {
            language: None,
            goal: Goal::Transcribe,
            beam_size: 5,
            best_of: 5,
            temperatures: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            compression_ratio_threshold: Some(2.4),
            logprob_threshold: Some(-1.0),
            no_speech_threshold: Some(0.6),
            condition_on_previous_text: true,
            prompt: None,
            length_penalty: 1.0,
            word_timestamps: false,
            vad: true,
            timestamps: true,
            seed: 0,
        }
    }
}

/// What the text should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// The words that are spoken.
    #[default]
    Transcribe,
    /// The words that are spoken, in English.
    Translate,
}

/// The text of one recording. Times are seconds from the start of the recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// The whole text, segments joined.
    pub text: String,
    /// The language code, when there was speech.
    pub language: Option<String>,
    /// Probability of that language; absent when it was given or the model knows only one.
    pub language_probability: Option<f32>,
    /// Length of the recording in seconds.
    pub duration: f64,
    /// The text by time.
    pub segments: Vec<Segment>,
    /// What was not transcribed, or not believed, and why.
    pub dropped: Vec<DroppedSpan>,
}

/// A stretch of speech.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Position in the transcript, from 0.
    pub id: usize,
    /// Start in seconds.
    pub start: f64,
    /// End in seconds.
    pub end: f64,
    /// What is said, with the leading space that the tokenizer gives removed.
    pub text: String,
    /// The token ids of the text, timestamps included.
    pub tokens: Vec<u32>,
    /// Temperature of the decoding that was taken.
    pub temperature: f32,
    /// Mean log-probability of the window's tokens.
    pub avg_logprob: f32,
    /// Bytes of the window's text over its zlib-compressed bytes.
    pub compression_ratio: f32,
    /// Probability of `<|nospeech|>` at the start of the window.
    pub no_speech_prob: f32,
    /// Why this text is doubted, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<DropReason>,
    /// The words with their times, when they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<Word>>,
}

/// A word with its time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// The word with the space and punctuation that belong to it, as in whisper's JSON.
    pub word: String,
    /// Start in seconds.
    pub start: f64,
    /// End in seconds.
    pub end: f64,
    /// Mean probability of its tokens.
    pub probability: f32,
}

/// A stretch of the recording that gave no text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DroppedSpan {
    /// Start in seconds.
    pub start: f64,
    /// End in seconds.
    pub end: f64,
    /// Why.
    pub reason: DropReason,
    /// What the model had said there, when it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Why a stretch gave no text, or a text is doubted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// Voice activity detection found no speech.
    NoVoice,
    /// The model itself says that there is no speech, and does not trust its words.
    NoSpeech,
    /// The text repeats itself beyond belief.
    Repetition,
    /// The tokens are improbable at every temperature.
    LowProbability,
    /// The text stands where there is no sound.
    Silence,
}
