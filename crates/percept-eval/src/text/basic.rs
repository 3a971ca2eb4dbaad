//! `BasicTextNormalizer` of Whisper, with its defaults: diacritics stay, letters are not split.

use unicode_normalization::UnicodeNormalization;

use super::characters::is_symbol;
use super::rewrite::{single_spaces, without_brackets};

pub(super) fn normalized(text: &str) -> String {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let clean: String =
        without_brackets(&text).into_iter().nfkc().map(|c| if is_symbol(c) { ' ' } else { c }).collect();
    let clean: Vec<char> = clean.to_lowercase().chars().collect();
    single_spaces(&clean).into_iter().collect()
}
