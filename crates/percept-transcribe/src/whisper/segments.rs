//! The tokens of a window, cut at their timestamps (`whisper/transcribe.py`).

use percept_core::transcribe::Word;

use super::vocabulary::Vocabulary;
use crate::voice::Span;

/// A segment in the making. Times are seconds from the start of the recording.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) start: f64,
    pub(super) end: f64,
    /// Timestamps included.
    pub(super) tokens: Vec<u32>,
    pub(super) words: Option<Vec<Word>>,
}

impl Piece {
    pub(super) fn last_word_end(&self) -> Option<f64> {
        self.words.as_ref()?.last().map(|word| word.end)
    }

    /// Keeps these tokens; what is left ends at `end`.
    pub(super) fn cut(&mut self, tokens: &[u32], end: f64) {
        self.tokens = tokens.to_vec();
        self.end = end;
        if let Some(words) = &mut self.words {
            words.retain(|word| word.start < end);
            self.end = words.last().map_or(end, |word| word.end);
        }
    }
}

/// Where the next window begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Next {
    pub(super) position: f64,
    /// Whether that is where the text broke off, and not the end of the window.
    pub(super) follows_text: bool,
}

/// Cuts the tokens of a window into pieces and says where to go on: behind the last whole segment,
/// or behind the window when its text is complete.
pub(super) fn cut(tokens: &[u32], vocabulary: &Vocabulary, window: Span) -> (Vec<Piece>, Next) {
    cut_at(tokens, |token| vocabulary.seconds(token), window)
}

fn cut_at(tokens: &[u32], seconds: impl Fn(u32) -> Option<f64>, window: Span) -> (Vec<Piece>, Next) {
    let time = |token: &u32| seconds(*token).map(|time| (window.start + time).min(window.end));
    let is_time = |index: usize| seconds(tokens[index]).is_some();
    let complete = Next { position: window.end, follows_text: false };
    let ends_with_one = match tokens.len() {
        0 => return (Vec::new(), complete),
        1 => false,
        len => !is_time(len - 2) && is_time(len - 1),
    };
    // Two timestamps in a row are the end of a segment and the start of the next.
    let mut borders = (1..tokens.len()).filter(|&at| is_time(at - 1) && is_time(at)).collect::<Vec<_>>();
    if borders.is_empty() {
        let last = tokens.iter().rev().find_map(time).filter(|time| *time > window.start);
        let start = tokens.first().and_then(time).unwrap_or(window.start);
        let end = last.filter(|end| *end > start).unwrap_or(window.end);
        return (vec![Piece { start, end, tokens: tokens.to_vec(), words: None }], complete);
    }
    if ends_with_one {
        borders.push(tokens.len());
    }
    let mut pieces = Vec::with_capacity(borders.len());
    let mut from = 0;
    for border in &borders {
        let part = &tokens[from..*border];
        let start = part.first().and_then(time).unwrap_or(window.start);
        let end = part.last().and_then(time).unwrap_or(window.end);
        pieces.push(Piece { start, end, tokens: part.to_vec(), words: None });
        from = *border;
    }
    if ends_with_one {
        return (pieces, complete);
    }
    let position = tokens.get(from - 1).and_then(time).unwrap_or(window.end);
    (pieces, Next { position, follows_text: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens from 100 on are tenths of a second.
    fn seconds(token: u32) -> Option<f64> {
        token.checked_sub(100).map(|tenths| f64::from(tenths) / 10.0)
    }

    const WINDOW: Span = Span { start: 10.0, end: 13.0 };

    fn times(tokens: &[u32]) -> (Vec<(f64, f64)>, Next) {
        let (pieces, next) = cut_at(tokens, seconds, WINDOW);
        (pieces.iter().map(|piece| (piece.start, piece.end)).collect(), next)
    }

    #[test]
    fn a_broken_off_segment_is_left_to_the_next_window() {
        let (pieces, next) = times(&[100, 1, 2, 110, 110, 3, 4, 120, 120, 5]);
        assert_eq!(pieces, vec![(10.0, 11.0), (11.0, 12.0)]);
        assert_eq!(next, Next { position: 12.0, follows_text: true });
    }

    #[test]
    fn one_closing_timestamp_means_that_nothing_follows() {
        let (pieces, next) = times(&[100, 1, 2, 110, 112, 3, 4, 120]);
        assert_eq!(pieces, vec![(10.0, 11.0), (11.2, 12.0)]);
        assert_eq!(next, Next { position: 13.0, follows_text: false });
    }

    #[test]
    fn without_pairs_there_is_one_segment() {
        assert_eq!(times(&[100, 1, 2, 115]).0, vec![(10.0, 11.5)]);
        assert_eq!(times(&[1, 2]).0, vec![(10.0, 13.0)]);
        assert_eq!(times(&[]), (vec![], Next { position: 13.0, follows_text: false }));
    }

    #[test]
    fn no_time_lies_beyond_the_window() {
        assert_eq!(times(&[100, 1, 190]).0, vec![(10.0, 13.0)]);
    }
}
