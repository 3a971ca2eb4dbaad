//! Transcripts by their word and character error rate, after Whisper's text normalisers.
//!
//! Rates are those of jiwer 4.0.0 on the normalised texts; a text of several files is one of all their words. Counts are
//! jiwer's too on texts of up to about a thousand words; on longer ones jiwer chooses among alignments of the same number of
//! edits in another way, and the counts may differ where a substitution is as good as an insertion and a deletion.

mod basic;
mod characters;
mod edits;
mod english;
mod numbers;
mod read;
mod rewrite;

use percept_core::Result;
use serde::Serialize;

use crate::Metric;

pub use edits::Edits;
pub use english::English;
pub(crate) use read::{EXTENSIONS, read};

/// What is done to both texts before they are compared.
pub enum Normalizer {
    /// Nothing, but that all white space is one space.
    None,
    /// `BasicTextNormalizer` of Whisper, for any language: lower case, no brackets, no punctuation.
    Basic,
    /// `EnglishTextNormalizer` of Whisper: also numbers, contractions, titles and spellings.
    English(English),
}

impl Normalizer {
    /// Whisper's for English.
    ///
    /// # Errors
    /// None of its own: the table of spellings that is built in is read.
    pub fn english() -> Result<Self> {
        English::new().map(Self::English)
    }

    /// The text as it is compared, words separated by single spaces.
    pub fn apply(&self, text: &str) -> String {
        let text = match self {
            Self::None => text.to_owned(),
            Self::Basic => basic::normalized(text),
            Self::English(english) => english.normalized(text),
        };
        characters::words(&text).collect::<Vec<_>>().join(" ")
    }
}

/// How far transcripts are from what was said.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Pairs of texts.
    pub files: usize,
    /// Edits of words.
    pub words: Edits,
    /// Edits of characters, spaces included.
    pub characters: Edits,
}

impl Report {
    /// Adds a pair of texts.
    pub fn add(&mut self, truth: &str, result: &str, normalizer: &Normalizer) {
        self.files += 1;
        let [truth, result] = [truth, result].map(|text| normalizer.apply(text));
        let [said, heard] = [&truth, &result].map(|text| characters::words(text).collect::<Vec<_>>());
        self.words.add(&Edits::between(&said, &heard));
        let [said, heard] = [&truth, &result].map(|text| text.chars().collect::<Vec<_>>());
        self.characters.add(&Edits::between(&said, &heard));
    }

    /// `WER` and `CER`.
    pub fn metrics(&self) -> Vec<Metric> {
        vec![Metric::new("WER", self.words.rate()), Metric::new("CER", self.characters.rate())]
    }
}

#[cfg(test)]
mod golden;
