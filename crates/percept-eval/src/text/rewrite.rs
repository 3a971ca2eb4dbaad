//! Whisper's regular expressions, written out: there are few, and Python's `\w` and `\s` are not those of Rust's crates.
//! All look left to right for what does not overlap, as `re.sub`.

use super::characters::{is_space, is_word};

/// Whether a word begins or ends at `at`: `\b`.
pub(super) fn boundary(text: &[char], at: usize) -> bool {
    let before = at > 0 && is_word(text[at - 1]);
    let behind = text.get(at).is_some_and(|c| is_word(*c));
    before != behind
}

/// Takes what matches for something else: `step` is given a place, and gives how many characters to take there and what to
/// write for them.
pub(super) fn sub(text: &[char], mut step: impl FnMut(usize, &mut Vec<char>) -> usize) -> Vec<char> {
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while at < text.len() {
        match step(at, &mut out) {
            0 => {
                out.push(text[at]);
                at += 1;
            }
            taken => at += taken,
        }
    }
    out
}

/// A literal that ends at the end of a word, and begins at the start of one if `whole`, by another.
pub(super) fn replace(text: &[char], literal: &str, whole: bool, by: &str) -> Vec<char> {
    let literal: Vec<char> = literal.chars().collect();
    sub(text, |at, out| {
        let found = text[at..].starts_with(&literal)
            && (!whole || boundary(text, at))
            && boundary(text, at + literal.len());
        if found {
            out.extend(by.chars());
        }
        if found { literal.len() } else { 0 }
    })
}

/// Without what stands in `<>` or `[]`, then without what stands in `()`.
pub(super) fn without_brackets(text: &[char]) -> Vec<char> {
    let text = sub(text, |at, _| {
        let opens = matches!(text[at], '<' | '[');
        let end = || text[at + 1..].iter().position(|c| matches!(c, '>' | ']'));
        if opens { end().map_or(0, |inside| inside + 2) } else { 0 }
    });
    sub(&text, |at, _| {
        let end = || text[at + 1..].iter().position(|c| *c == ')').filter(|inside| *inside > 0);
        if text[at] == '(' { end().map_or(0, |inside| inside + 2) } else { 0 }
    })
}

/// How many characters of white space there are at `at`.
pub(super) fn spaces(text: &[char], at: usize) -> usize {
    text.get(at..).unwrap_or_default().iter().take_while(|c| is_space(**c)).count()
}

/// Any white space as one space.
pub(super) fn single_spaces(text: &[char]) -> Vec<char> {
    sub(text, |at, out| {
        let count = spaces(text, at);
        if count > 0 {
            out.push(' ');
        }
        count
    })
}
