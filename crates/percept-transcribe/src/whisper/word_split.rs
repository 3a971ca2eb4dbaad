//! Tokens to words (`whisper/tokenizer.py`, `split_to_word_tokens`; `whisper/timing.py`,
//! `merge_punctuations`).

use super::vocabulary::Vocabulary;
use super::words::TimedWord;

/// Languages that put no spaces between words.
const WITHOUT_SPACES: [&str; 6] = ["zh", "ja", "th", "lo", "my", "yue"];
/// Python's `string.punctuation`.
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
/// Goes with the word behind it.
const OPENING: &str = "\"'“¿([{-";
/// Goes with the word before it.
const CLOSING: &str = "\"'.。,，!！?？:：”)]}、";

/// Words of text tokens, with their tokens.
pub(super) fn split(
    vocabulary: &Vocabulary,
    tokens: &[u32],
    language: Option<&str>,
) -> Vec<(String, Vec<u32>)> {
    let characters = split_at_characters(tokens, |tokens| vocabulary.text(tokens));
    match language {
        Some(language) if WITHOUT_SPACES.contains(&language) => characters,
        _ => join_at_spaces(characters),
    }
}

/// The shortest runs of tokens that are whole characters: a character may be several tokens.
fn split_at_characters(tokens: &[u32], text: impl Fn(&[u32]) -> String) -> Vec<(String, Vec<u32>)> {
    let full = text(tokens);
    let mut parts = Vec::new();
    let mut open = Vec::new();
    let mut offset = 0;
    for token in tokens {
        open.push(*token);
        let part = text(&open);
        let is_whole = match part.find('\u{FFFD}') {
            None => true,
            // The text itself may hold the replacement character.
            Some(at) => full.get(offset + at..).is_some_and(|rest| rest.starts_with('\u{FFFD}')),
        };
        if is_whole {
            offset += part.len();
            parts.push((part, std::mem::take(&mut open)));
        }
    }
    if !open.is_empty() {
        parts.push((text(&open), open));
    }
    parts
}

fn join_at_spaces(parts: Vec<(String, Vec<u32>)>) -> Vec<(String, Vec<u32>)> {
    let mut words: Vec<(String, Vec<u32>)> = Vec::new();
    for (part, tokens) in parts {
        let is_punctuation = is_one_of(part.trim(), PUNCTUATION);
        match words.last_mut() {
            Some((word, word_tokens)) if !part.starts_with(' ') && !is_punctuation => {
                word.push_str(&part);
                word_tokens.extend(tokens);
            }
            _ => words.push((part, tokens)),
        }
    }
    words
}

/// Puts punctuation to the word that it belongs to; what was merged away has an empty text.
pub(super) fn merge_punctuation(words: &mut [TimedWord]) {
    let Some(last) = words.len().checked_sub(1) else { return };
    let mut following = last;
    for index in (0..last).rev() {
        let word = &mut words[index];
        if word.text.starts_with(' ') && is_one_of(word.text.trim(), OPENING) {
            let (text, mut tokens) = (std::mem::take(&mut word.text), std::mem::take(&mut word.tokens));
            let next = &mut words[following];
            next.text.insert_str(0, &text);
            tokens.append(&mut next.tokens);
            next.tokens = tokens;
        } else {
            following = index;
        }
    }
    let mut previous = 0;
    for index in 1..words.len() {
        if !words[previous].text.ends_with(' ') && is_one_of(&words[index].text, CLOSING) {
            let (text, tokens) =
                (std::mem::take(&mut words[index].text), std::mem::take(&mut words[index].tokens));
            words[previous].text.push_str(&text);
            words[previous].tokens.extend(tokens);
        } else {
            previous = index;
        }
    }
}

/// Whether a text is a part of a set of marks; nothing is a part of every set, as in the reference.
fn is_one_of(text: &str, set: &str) -> bool {
    set.contains(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(texts: &[&str]) -> Vec<TimedWord> {
        let word = |(index, text): (usize, &&str)| TimedWord {
            text: (*text).into(),
            tokens: vec![index as u32],
            start: 0.0,
            end: 0.0,
            probability: 1.0,
        };
        texts.iter().enumerate().map(word).collect()
    }

    #[test]
    fn punctuation_goes_with_its_word() {
        let mut words = timed(&[" He", " said", ",", " \"", "Stop", "!", "\""]);
        merge_punctuation(&mut words);
        let texts = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>();
        assert_eq!(texts, [" He", " said,", "", "", " \"Stop!\"", "", ""]);
        assert_eq!(words[4].tokens, [3, 4, 5, 6]);
    }

    #[test]
    fn words_begin_at_spaces() {
        let parts = [" fel", "low", " Am", "ericans", ",", " ask"];
        let words = join_at_spaces(parts.iter().map(|part| ((*part).to_owned(), vec![0])).collect());
        let texts = words.iter().map(|(word, _)| word.as_str()).collect::<Vec<_>>();
        assert_eq!(texts, [" fellow", " Americans", ",", " ask"]);
    }

    #[test]
    fn a_character_of_two_tokens_is_one_part() {
        // Token 1 is the first half of "é", token 2 the second.
        let text = |tokens: &[u32]| match tokens {
            [1] => "\u{FFFD}".to_owned(),
            [1, 2] => "é".to_owned(),
            [3] => "a".to_owned(),
            [1, 2, 3] => "éa".to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(split_at_characters(&[1, 2, 3], text), [("é".into(), vec![1, 2]), ("a".into(), vec![3])]);
    }
}
