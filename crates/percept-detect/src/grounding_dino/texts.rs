//! Texts as the model reads them: one line of phrases, each of whose words sees only its own phrase.

use std::ops::Range;

use percept_backbone::bert::{BertTokenizer, BertTokens};
use percept_backbone::{Device, Result as EngineResult, Tensor};
use percept_core::{Error, Result};

/// Start, end, full stop and question mark, which end a phrase (`SPECIAL_TOKENS`); the numbers are those of
/// `bert-base-uncased`, whatever the vocabulary.
const ENDS: [u32; 4] = [101, 102, 1012, 1029];
/// What is added to the score of a token of another phrase.
const UNSEEN: f32 = -1e9;

/// The texts of a request, as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prompt {
    /// The start and the end of the line among them.
    pub(super) ids: Vec<u32>,
    /// Of each token, in its phrase.
    pub(super) positions: Vec<u32>,
    /// Of each token, which text it was made of.
    pub(super) texts: Vec<Option<usize>>,
    /// The number of the token that ends a token's phrase; tokens of no phrase see only themselves.
    phrases: Vec<Option<usize>>,
}

impl Prompt {
    /// Reads texts as `GroundingDinoProcessor` joins them.
    ///
    /// # Errors
    /// For a text without words.
    pub(super) fn new(texts: &[String], tokenizer: &BertTokenizer) -> Result<Self> {
        let (line, spans) = joined(texts)?;
        let BertTokens { ids, spans: tokens } = tokenizer.tokens(&line)?;
        let text_of = |token: &Range<usize>| {
            let inside = |span: &Range<usize>| {
                token.start < token.end && span.start <= token.start && token.end <= span.end
            };
            spans.iter().position(inside)
        };
        let (phrases, positions) = phrases(&ids);
        Ok(Self { positions, phrases, texts: tokens.iter().map(text_of).collect(), ids })
    }

    /// What is added to the scores of attention between tokens, `[1, 1, tokens, tokens]`.
    pub(super) fn bias(&self, device: &Device) -> EngineResult<Tensor> {
        let count = self.ids.len();
        let values = (0..count * count).map(|at| match self.sees(at / count, at % count) {
            true => 0.0,
            false => UNSEEN,
        });
        Tensor::from_vec(values.collect(), (1, 1, count, count), device)
    }

    /// Whether a token looks at another one.
    pub(super) fn sees(&self, token: usize, other: usize) -> bool {
        token == other || (self.phrases[token].is_some() && self.phrases[token] == self.phrases[other])
    }
}

/// Texts in lower case, each with a full stop behind it, and where each of them lies in the line.
fn joined(texts: &[String]) -> Result<(String, Vec<Range<usize>>)> {
    let mut line = String::new();
    let mut spans = Vec::with_capacity(texts.len());
    for text in texts {
        // A text may already be a sentence, or several.
        let words = text.trim().trim_end_matches('.').trim_end().to_lowercase();
        if words.is_empty() {
            return Err(Error::argument(format!("the text {text:?} names nothing to look for")));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        let start = line.len();
        line.push_str(&words);
        spans.push(start..line.len());
        line.push('.');
    }
    Ok((line, spans))
}

/// By token, the end of its phrase and its place in it (`generate_masks_with_special_tokens_and_transfer_map`). What
/// stands before the first end and behind the last is no phrase.
fn phrases(ids: &[u32]) -> (Vec<Option<usize>>, Vec<u32>) {
    let ends: Vec<usize> = (0..ids.len()).filter(|at| ENDS.contains(&ids[*at])).collect();
    let of = |at: usize| {
        let next = ends.iter().copied().find(|end| *end >= at);
        let next = next.filter(|end| *end != 0 && *end + 1 != ids.len());
        let previous = ends.iter().rev().find(|end| **end < at);
        let position = previous.map_or(at, |end| at - end - 1) as u32;
        (next, if next.is_some() { position } else { 0 })
    };
    (0..ids.len()).map(of).unzip()
}
