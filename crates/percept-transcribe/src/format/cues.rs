//! What stands on the screen at one time, shaped by the limits of a viewer's eye
//! (`whisper/utils.py`, `SubtitlesWriter.iterate_result`).

use percept_core::transcribe::{Segment, Transcript, Word};
use unicode_width::UnicodeWidthStr;

/// A pause after which a new cue begins, in seconds.
const LONG_PAUSE: f64 = 3.0;

/// How much may stand on the screen. Without limits a segment is a cue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CueLimits {
    /// Columns of a line; a Chinese or Japanese character takes two.
    pub line_width: Option<usize>,
    /// Lines of a cue. With `line_width`, cues may run over the borders of segments.
    pub line_count: Option<usize>,
    /// Words of a line, where no width is given.
    pub words_per_line: Option<usize>,
}

impl CueLimits {
    /// Whether there is any limit, and so a need for word times.
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

/// Text with the time in which it is shown, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cue {
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) text: String,
}

/// The cues of a transcript, in order.
pub(super) fn cues(transcript: &Transcript, limits: CueLimits) -> Vec<Cue> {
    let whole = |segment: &Segment| Cue {
        start: segment.start,
        end: segment.end,
        text: super::one_line(&segment.text),
    };
    let has_words = transcript.segments.iter().all(|segment| segment.words.is_some());
    if !limits.any() || !has_words {
        return transcript.segments.iter().map(whole).collect();
    }
    let mut layout = Layout::new(limits);
    for segment in &transcript.segments {
        let words = segment.words.as_deref().unwrap_or_default();
        for chunk in words.chunks(limits.words_per_line.unwrap_or(usize::MAX).max(1)) {
            for (index, word) in chunk.iter().enumerate() {
                layout.add(word, index == 0);
            }
        }
    }
    layout.finish()
}

struct Layout {
    limits: CueLimits,
    /// Whether a cue ends with its segment.
    keeps_segments: bool,
    done: Vec<Cue>,
    open: Option<Cue>,
    width: usize,
    lines: usize,
    last_start: f64,
}

impl Layout {
    fn new(limits: CueLimits) -> Self {
        let keeps_segments = limits.line_count.is_none() || limits.line_width.is_none();
        Self { limits, keeps_segments, done: Vec::new(), open: None, width: 0, lines: 1, last_start: 0.0 }
    }

    fn add(&mut self, word: &Word, begins_chunk: bool) {
        let long_pause =
            !self.keeps_segments && self.open.is_some() && word.start - self.last_start > LONG_PAUSE;
        let fits = self.limits.line_width.is_none_or(|limit| self.width + word.word.width() <= limit);
        let breaks = begins_chunk && self.open.is_some() && self.keeps_segments;
        self.last_start = word.start;
        let text = word.word.trim();
        if let Some(cue) = &mut self.open {
            if self.width > 0 && fits && !long_pause && !breaks {
                cue.text.push_str(&word.word);
                cue.end = word.end;
                self.width += word.word.width();
                return;
            }
            let full = self.limits.line_count.is_some_and(|limit| long_pause || self.lines >= limit);
            if !full && !breaks {
                cue.text.push('\n');
                cue.text.push_str(text);
                cue.end = word.end;
                self.lines += 1;
                self.width = text.width();
                return;
            }
        }
        self.done.extend(self.open.take());
        self.open = Some(Cue { start: word.start, end: word.end, text: text.to_owned() });
        self.lines = 1;
        self.width = text.width();
    }

    fn finish(mut self) -> Vec<Cue> {
        self.done.extend(self.open);
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A word a second.
    fn transcript(segments: &[&str]) -> Transcript {
        let mut time = 0.0;
        let segments = segments.iter().map(|text| {
            let words = text.split(' ').map(|word| {
                time += 1.0;
                Word { word: format!(" {word}"), start: time - 1.0, end: time, probability: 1.0 }
            });
            Segment { text: (*text).into(), words: Some(words.collect()), ..Segment::default() }
        });
        Transcript { segments: segments.collect(), ..Transcript::default() }
    }

    fn texts(segments: &[&str], limits: CueLimits) -> Vec<String> {
        cues(&transcript(segments), limits).into_iter().map(|cue| cue.text).collect()
    }

    #[test]
    fn a_width_breaks_lines_within_a_segment() {
        let limits = CueLimits { line_width: Some(9), ..CueLimits::default() };
        assert_eq!(texts(&["one two three", "four"], limits), ["one two\nthree", "four"]);
    }

    #[test]
    fn width_and_count_fill_cues_over_segments() {
        let limits = CueLimits { line_width: Some(9), line_count: Some(2), ..CueLimits::default() };
        assert_eq!(texts(&["one two three", "four five six"], limits), ["one two\nthree", "four five\nsix"]);
        let one = CueLimits { line_count: Some(1), ..limits };
        assert_eq!(texts(&["one two three"], one), ["one two", "three"]);
    }

    #[test]
    fn words_are_counted() {
        let limits = CueLimits { words_per_line: Some(2), ..CueLimits::default() };
        let cues = cues(&transcript(&["one two three", "four"]), limits);
        let shown = cues.iter().map(|cue| (cue.start, cue.end, cue.text.as_str())).collect::<Vec<_>>();
        assert_eq!(shown, [(0.0, 2.0, "one two"), (2.0, 3.0, "three"), (3.0, 4.0, "four")]);
    }

    #[test]
    fn a_wide_character_takes_two_columns() {
        let word = |text: &str| Word { word: text.into(), start: 0.0, end: 1.0, probability: 1.0 };
        let words = Some(vec![word("日本"), word("語で")]);
        let segment = Segment { words, ..Segment::default() };
        let transcript = Transcript { segments: vec![segment], ..Transcript::default() };
        let limits = CueLimits { line_width: Some(6), ..CueLimits::default() };
        assert_eq!(cues(&transcript, limits)[0].text, "日本\n語で");
    }
}
