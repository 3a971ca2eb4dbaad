//! `EnglishTextNormalizer` of Whisper (Radford et al. 2022, appendix C; `whisper/normalizers/english.py`), rule by rule, its
//! faults included: `1.5` becomes `one.5`, in truth and result alike.

use std::collections::HashMap;

use percept_core::{Error, Result};
use unicode_normalization::UnicodeNormalization;

use super::characters::{is_diacritic, is_digit, is_symbol, is_word, words};
use super::numbers;
use super::rewrite::{replace, single_spaces, spaces, sub, without_brackets};

/// What is said without meaning anything.
const FILLERS: [&str; 6] = ["hmm", "mm", "mhm", "mmm", "uh", "um"];

/// Whole words.
const WORDS: [(&str, &str); 35] = [
    ("won't", "will not"),
    ("can't", "can not"),
    ("let's", "let us"),
    ("ain't", "aint"),
    ("y'all", "you all"),
    ("wanna", "want to"),
    ("gotta", "got to"),
    ("gonna", "going to"),
    ("i'ma", "i am going to"),
    ("imma", "i am going to"),
    ("woulda", "would have"),
    ("coulda", "could have"),
    ("shoulda", "should have"),
    ("ma'am", "madam"),
    ("mr", "mister "),
    ("mrs", "missus "),
    ("st", "saint "),
    ("dr", "doctor "),
    ("prof", "professor "),
    ("capt", "captain "),
    ("gov", "governor "),
    ("ald", "alderman "),
    ("gen", "general "),
    ("sen", "senator "),
    ("rep", "representative "),
    ("pres", "president "),
    ("rev", "reverend "),
    ("hon", "honorable "),
    ("asst", "assistant "),
    ("assoc", "associate "),
    ("lt", "lieutenant "),
    ("col", "colonel "),
    ("jr", "junior "),
    ("sr", "senior "),
    ("esq", "esquire "),
];

/// Ends of words.
const ENDS: [(&str, &str); 14] = [
    ("'d been", " had been"),
    ("'s been", " has been"),
    ("'d gone", " had gone"),
    ("'s gone", " has gone"),
    ("'d done", " had done"),
    ("'s got", " has got"),
    ("n't", " not"),
    ("'re", " are"),
    ("'s", " is"),
    ("'d", " would"),
    ("'ll", " will"),
    ("'t", " not"),
    ("'ve", " have"),
    ("'m", " am"),
];

/// Symbols that numbers have.
const KEPT: &str = ".%$¢€£";

/// Whisper's normaliser for English, with its table of spellings.
pub struct English {
    spellings: HashMap<String, String>,
}

impl English {
    /// With Whisper's own spellings, which are built in (`data/README.md`).
    pub(super) fn new() -> Result<Self> {
        let spellings = serde_json::from_str(include_str!("../../data/english.json"));
        let wrong = |error| Error::argument(format!("the spellings that are built in: {error}"));
        spellings.map(|spellings| Self { spellings }).map_err(wrong)
    }

    pub(super) fn normalized(&self, text: &str) -> String {
        let text: Vec<char> = text.to_lowercase().chars().collect();
        let text = without_fillers(&without_brackets(&text));
        // No space before an apostrophe.
        let mut text = sub(&text, |at, _| {
            let count = spaces(&text, at);
            if text.get(at + count) == Some(&'\'') { count } else { 0 }
        });
        for (word, by) in WORDS {
            text = replace(&text, word, true, by);
        }
        for (end, by) in ENDS {
            text = replace(&text, end, false, by);
        }
        let text = without_symbols(&dots(&commas(&text)));
        let text = numbers::normalized(&text);
        let spelled = words(&text).map(|word| self.spellings.get(word).map_or(word, String::as_str));
        let text: Vec<char> = spelled.collect::<Vec<_>>().join(" ").chars().collect();
        single_spaces(&lone_symbols(&text)).into_iter().collect()
    }
}

fn without_fillers(text: &[char]) -> Vec<char> {
    sub(text, |at, _| {
        if at > 0 && is_word(text[at - 1]) {
            return 0;
        }
        let word: String = text[at..].iter().take_while(|c| is_word(**c)).collect();
        if FILLERS.contains(&word.as_str()) { word.len() } else { 0 }
    })
}

/// No comma between two digits. The second is taken with it: of `1,2,3` one comma stays.
fn commas(text: &[char]) -> Vec<char> {
    sub(text, |at, out| match text[at..] {
        [a, ',', b, ..] if is_digit(a) && is_digit(b) => {
            out.extend([a, b]);
            3
        }
        _ => 0,
    })
}

/// No full stop but before a digit.
fn dots(text: &[char]) -> Vec<char> {
    sub(text, |at, out| match text[at..] {
        ['.'] => {
            out.push(' ');
            1
        }
        ['.', next, ..] if !next.is_ascii_digit() => {
            out.extend([' ', next]);
            2
        }
        _ => 0,
    })
}

/// No symbols, punctuation and diacritics but those that numbers have.
fn without_symbols(text: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.iter().copied().nfkd() {
        match c {
            _ if KEPT.contains(c) => out.push(c),
            'œ' => out.push_str("oe"),
            'Œ' => out.push_str("OE"),
            'ø' => out.push('o'),
            'Ø' => out.push('O'),
            'æ' => out.push_str("ae"),
            'Æ' => out.push_str("AE"),
            'ß' => out.push_str("ss"),
            'ẞ' => out.push_str("SS"),
            'đ' | 'ð' => out.push('d'),
            'Đ' | 'Ð' => out.push('D'),
            'þ' | 'Þ' => out.push_str("th"),
            'ł' => out.push('l'),
            'Ł' => out.push('L'),
            _ if is_diacritic(c) => {}
            _ if is_symbol(c) => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}

/// No symbols of numbers that belong to none.
fn lone_symbols(text: &[char]) -> Vec<char> {
    let text = sub(text, |at, out| match text[at..] {
        ['.' | '$' | '¢' | '€' | '£', next, ..] if !next.is_ascii_digit() => {
            out.extend([' ', next]);
            2
        }
        _ => 0,
    });
    sub(&text, |at, out| match text[at..] {
        [before, '%', ..] if !before.is_ascii_digit() => {
            out.extend([before, ' ']);
            2
        }
        _ => 0,
    })
}
