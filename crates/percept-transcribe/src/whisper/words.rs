//! Times of words: how the alignment heads of the decoder look at the sound, made into a path by
//! dynamic time warping (`whisper/timing.py`).

use percept_core::Result;
use percept_core::transcribe::Word;

use super::network::Memory;
use super::segments::Piece;
use super::vocabulary::TIMESTAMP_STEP;
use super::warping::{Matrix, alignment_matrix, warp};
use super::{Whisper, word_split};
use crate::voice::Span;

/// No word lasts longer than this, in the median.
const MAX_MEDIAN: f64 = 0.7;
const SENTENCE_ENDS: &str = ".。!！?？";

/// Aligns the text of a window with its sound.
pub(super) struct Aligner<'a> {
    pub(super) whisper: &'a Whisper,
    pub(super) memory: &'a Memory,
    pub(super) opening: &'a [u32],
}

/// A word with its time in the window, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TimedWord {
    pub(super) text: String,
    pub(super) tokens: Vec<u32>,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) probability: f32,
}

impl Aligner<'_> {
    /// Gives words to the pieces of a window, and takes the times of the pieces from them.
    /// `last_end` is where the last word of the recording so far ends.
    pub(super) fn align(
        &self,
        pieces: &mut [Piece],
        window: Span,
        language: Option<&str>,
        mut last_end: f64,
    ) -> Result<()> {
        let end = self.whisper.vocabulary.end;
        let counts = pieces
            .iter()
            .map(|piece| piece.tokens.iter().filter(|token| **token < end).count())
            .collect::<Vec<_>>();
        let text = pieces
            .iter()
            .flat_map(|piece| piece.tokens.iter().copied().filter(|token| *token < end))
            .collect::<Vec<_>>();
        let mut words = self.words(&text, window, language)?;
        let median = median_duration(&words);
        shorten_at_sentence_ends(&mut words, 2.0 * median);
        word_split::merge_punctuation(&mut words);
        let mut words = words.into_iter();
        for (piece, count) in pieces.iter_mut().zip(counts) {
            let mut saved = 0;
            let mut own = Vec::new();
            while saved < count {
                let Some(word) = words.next() else { break };
                saved += word.tokens.len();
                if !word.text.is_empty() {
                    own.push(Word {
                        word: word.text,
                        start: window.start + word.start,
                        end: window.start + word.end,
                        probability: word.probability,
                    });
                }
            }
            fit(piece, &mut own, median, last_end);
            last_end = own.last().map_or(last_end, |word| word.end);
            for word in &mut own {
                word.start = (word.start * 1e3).round() / 1e3;
                word.end = (word.end * 1e3).round() / 1e3;
            }
            piece.words = Some(own);
        }
        Ok(())
    }

    fn words(&self, text: &[u32], window: Span, language: Option<&str>) -> Result<Vec<TimedWord>> {
        let Whisper { vocabulary, decoder, shape, .. } = self.whisper;
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let mut tokens = self.opening.to_vec();
        tokens.push(vocabulary.no_timestamps);
        tokens.extend(text);
        tokens.push(vocabulary.end);
        tokens.truncate(shape.target_positions);
        let compute = self.whisper.compute_error();
        let heads = self.whisper.alignment_heads();
        let (scores, gazes) = decoder.trace(&tokens, self.memory, &heads).map_err(&compute)?;
        let gazes = gazes
            .iter()
            .map(|gaze| gaze.to_vec2::<f32>().map(Matrix::from_rows))
            .collect::<Result<Vec<_>, _>>()
            .map_err(&compute)?;
        let positions = ((window.end - window.start) / TIMESTAMP_STEP).round() as usize;
        let opening = self.opening.len();
        let matrix = alignment_matrix(&gazes, positions.clamp(1, shape.source_positions));
        // The row of a token tells of the token after it.
        let path = warp(&matrix.rows_between(opening, tokens.len() - 1));
        let scores = scores.to_vec2::<f32>().map_err(&compute)?;
        let probability = |index: usize| {
            let scores = &scores[opening + index][..vocabulary.end as usize];
            let total = percept_backbone::decode::log_sum_exp(scores);
            (scores[text[index] as usize] - total).exp()
        };
        let known = text.len().min(tokens.len() - opening - 1);
        let mut first = 0;
        let mut words = Vec::new();
        for (word, tokens) in word_split::split(vocabulary, &text[..known], language) {
            let behind = first + tokens.len();
            let probabilities = (first..behind).map(probability).sum::<f32>() / tokens.len().max(1) as f32;
            words.push(TimedWord {
                text: word,
                start: path.time_of(first) as f64 * TIMESTAMP_STEP,
                end: path.time_of(behind) as f64 * TIMESTAMP_STEP,
                probability: probabilities,
                tokens,
            });
            first = behind;
        }
        Ok(words)
    }
}

fn median_duration(words: &[TimedWord]) -> f64 {
    let mut durations =
        words.iter().map(|word| word.end - word.start).filter(|duration| *duration > 0.0).collect::<Vec<_>>();
    durations.sort_by(f64::total_cmp);
    let median = match durations.len() {
        0 => 0.0,
        len if len % 2 == 1 => durations[len / 2],
        len => (durations[len / 2 - 1] + durations[len / 2]) / 2.0,
    };
    median.min(MAX_MEDIAN)
}

/// A word at the border of a sentence stretches over the pause; it is cut to a believable length.
fn shorten_at_sentence_ends(words: &mut [TimedWord], longest: f64) {
    let is_end = |word: &TimedWord| !word.text.is_empty() && SENTENCE_ENDS.contains(word.text.as_str());
    for index in 1..words.len() {
        if words[index].end - words[index].start > longest {
            if is_end(&words[index]) {
                words[index].end = words[index].start + longest;
            } else if is_end(&words[index - 1]) {
                words[index].start = words[index].end - longest;
            }
        }
    }
}

/// Reconciles the times of a piece with those of its words (`add_word_timestamps`).
fn fit(piece: &mut Piece, words: &mut [Word], median: f64, last_end: f64) {
    let longest = 2.0 * median;
    let Some(last) = words.len().checked_sub(1) else { return };
    // The first words after a pause tend to reach back into it.
    let after_pause = words[0].end - last_end > 4.0 * median;
    let first_two = last >= 1 && words[1].end - words[0].start > 2.0 * longest;
    if after_pause && (words[0].end - words[0].start > longest || first_two) {
        if last >= 1 && words[1].end - words[1].start > longest {
            let border = (words[1].end / 2.0).max(words[1].end - longest);
            words[0].end = border;
            words[1].start = border;
        }
        words[0].start = (words[0].end - longest).max(0.0);
    }
    if piece.start < words[0].end && piece.start - 0.5 > words[0].start {
        words[0].start = (words[0].end - median).min(piece.start).max(0.0);
    } else {
        piece.start = words[0].start;
    }
    if piece.end > words[last].start && piece.end + 0.5 < words[last].end {
        words[last].end = (words[last].start + median).max(piece.end);
    } else {
        piece.end = words[last].end;
    }
}
