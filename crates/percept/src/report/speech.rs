//! Transcripts on the page.

use percept_core::transcribe::{DropReason, Transcript};
use serde::Serialize;

/// Bytes of text that a card holds; the rest is in its file.
const MOST_BYTES: usize = 32 << 10;

/// What is said in a recording.
#[derive(Serialize)]
pub(super) struct Speech {
    language: Option<String>,
    /// Seconds.
    duration: f64,
    segments: Vec<Span>,
    /// Segments that the card does not hold.
    more: usize,
    /// Stretches that gave no text, with the reason.
    dropped: usize,
}

/// A segment.
#[derive(Serialize)]
struct Span {
    start: f64,
    end: f64,
    text: String,
    /// Mean probability of its tokens.
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    doubt: Option<DropReason>,
}

impl Speech {
    pub(super) fn new(transcript: Transcript) -> Self {
        let Transcript { language, duration, segments, dropped, .. } = transcript;
        let all = segments.len();
        let mut bytes = 0;
        let segments: Vec<Span> = segments
            .into_iter()
            .take_while(|segment| {
                bytes += segment.text.len() + 64;
                bytes <= MOST_BYTES
            })
            .map(|segment| Span {
                start: segment.start,
                end: segment.end,
                text: segment.text,
                score: segment.avg_logprob.exp(),
                doubt: segment.doubt,
            })
            .collect();
        Self { language, duration, more: all - segments.len(), segments, dropped: dropped.len() }
    }
}
