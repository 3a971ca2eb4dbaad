//! `EnglishNumberNormalizer` of Whisper: spelled numbers in digits, with their signs, currencies and endings.
//!
//! Python's integers have no end; these end at 3.4e38. A product beyond that is not made: both words stay numbers of their
//! own.

mod lexicon;

use super::characters::{digit, is_digit, is_word, words};
use super::rewrite::{boundary, spaces, sub};

use lexicon::{Lexicon, Word};

/// All of it: the text before, the words, the text after.
pub(super) fn normalized(text: &str) -> String {
    let lexicon = Lexicon::new();
    let prepared = preprocess(text, &lexicon);
    let words: Vec<&str> = words(&prepared).collect();
    postprocess(&Reading::new(&lexicon).read(&words).join(" "))
}

/// A number as far as it has been read.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    /// That can be added to and multiplied.
    Whole(u128),
    /// Digits one after the other, perhaps with points.
    Digits(String),
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Whole(value) => value.to_string(),
            Self::Digits(digits) => digits.clone(),
        }
    }

    /// `str(value or "")`.
    fn start(value: Option<&Self>) -> String {
        value.filter(|value| **value != Self::Whole(0)).map(Self::text).unwrap_or_default()
    }

    /// Times a power of ten, where it is a number and the product is whole.
    fn times(&self, multiplier: u128) -> Option<u128> {
        match self {
            Self::Whole(value) => value.checked_mul(multiplier),
            Self::Digits(digits) => {
                let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
                let joined = format!("{whole}{fraction}");
                if joined.is_empty() || !joined.chars().all(is_digit) {
                    return None;
                }
                let joined: String = joined.chars().map(|c| char::from(b'0' + digit(c))).collect();
                let scale = 10_u128.checked_pow(u32::try_from(fraction.chars().count()).ok()?)?;
                let product = joined.parse::<u128>().ok()?.checked_mul(multiplier)?;
                (product % scale == 0).then_some(product / scale)
            }
        }
    }
}

/// The words so far.
struct Reading<'a> {
    lexicon: &'a Lexicon,
    out: Vec<String>,
    prefix: Option<char>,
    value: Option<Value>,
}

impl<'a> Reading<'a> {
    fn new(lexicon: &'a Lexicon) -> Self {
        Self { lexicon, out: Vec::new(), prefix: None, value: None }
    }

    /// Writes something, with the sign that waits.
    fn output(&mut self, text: &str) {
        let prefix = self.prefix.take();
        self.out.push(prefix.into_iter().chain(text.chars()).collect());
        self.value = None;
    }

    /// Writes the number so far, if there is one.
    fn flush(&mut self) {
        if let Some(value) = self.value.take() {
            self.output(&value.text());
        }
    }

    fn read(mut self, words: &[&str]) -> Vec<String> {
        let mut at = 0;
        while at < words.len() {
            let previous = at.checked_sub(1).and_then(|at| words.get(at)).copied();
            at += 1 + usize::from(self.word(previous, words[at], words.get(at + 1).copied()));
        }
        self.flush();
        self.out
    }

    /// Reads a word; whether the next was read with it.
    fn word(&mut self, previous: Option<&str>, current: &str, next: Option<&str>) -> bool {
        let kind = |word: Option<&str>| word.and_then(|word| self.lexicon.get(word));
        let (before, behind) = (kind(previous), kind(next));
        let numeric = next.is_some_and(is_number);
        let number = behind.is_some() || numeric;
        let signed = current.chars().next().filter(|c| "-+£€$¢".contains(*c));
        let bare = &current[signed.map_or(0, char::len_utf8)..];
        if is_number(bare) {
            self.arabic(current, bare, signed);
            return false;
        }
        let Some(word) = self.lexicon.get(current) else {
            self.flush();
            self.output(current);
            return false;
        };
        match word {
            Word::Zero => self.value = Some(Value::Digits(Value::start(self.value.as_ref()) + "0")),
            Word::One(ones) => self.value = Some(self.with_ones(ones, before)),
            Word::OneEnded(ones, end) => {
                let value = self.with_ones(ones, before).text();
                self.output(&(value + end));
            }
            Word::Ten(tens) => self.value = Some(self.with_tens(tens)),
            Word::TenEnded(tens, end) => {
                let value = self.with_tens(tens).text();
                self.output(&(value + end));
            }
            Word::Multiplier(multiplier) => self.multiply(multiplier),
            Word::MultiplierEnded(multiplier, end) => self.multiply_and_end(multiplier, end),
            Word::Sign(sign) => {
                self.flush();
                if number { self.prefix = Some(sign) } else { self.output(current) }
            }
            Word::Currency(sign) => match self.value.take() {
                Some(value) => {
                    self.prefix = Some(sign);
                    self.output(&value.text());
                }
                None => self.output(current),
            },
            Word::Percent => match self.value.take() {
                Some(value) => self.output(&(value.text() + "%")),
                None => self.output(current),
            },
            Word::Per => match self.value.take() {
                Some(value) if next == Some("cent") => {
                    self.output(&(value.text() + "%"));
                    return true;
                }
                value => {
                    self.value = value;
                    self.flush();
                    self.output(current);
                }
            },
            Word::And | Word::Repeat(_) | Word::Point if !number => {
                self.flush();
                self.output(current);
            }
            Word::And => {
                if !matches!(before, Some(Word::Multiplier(_))) {
                    self.flush();
                    self.output(current);
                }
            }
            Word::Repeat(times) => {
                let digits = match behind {
                    Some(Word::One(ones)) => ones.to_string(),
                    Some(Word::Zero) => "0".to_owned(),
                    _ => {
                        self.flush();
                        self.output(current);
                        return false;
                    }
                };
                self.value = Some(Value::Digits(Value::start(self.value.as_ref()) + &digits.repeat(times)));
                return true;
            }
            // Before any other number the word is lost, as in Whisper's.
            Word::Point => {
                if numeric || matches!(behind, Some(Word::Zero | Word::One(_) | Word::Ten(_))) {
                    self.value = Some(Value::Digits(Value::start(self.value.as_ref()) + "."));
                }
            }
        }
        false
    }

    /// A number that is in digits already.
    fn arabic(&mut self, current: &str, bare: &str, signed: Option<char>) {
        if let Some(Value::Digits(digits)) = &mut self.value
            && digits.ends_with('.')
        {
            // Decimals, or a part of an address.
            digits.push_str(current);
            return;
        }
        self.flush();
        self.prefix = signed.or(self.prefix);
        let (whole, fraction) = bare.split_once('.').unwrap_or((bare, ""));
        self.value = Some(if fraction.chars().all(|c| digit(c) == 0) {
            let digits: String = whole.chars().map(|c| char::from(b'0' + digit(c))).collect();
            match digits.parse() {
                Ok(value) => Value::Whole(value),
                Err(_) => Value::Digits(digits.trim_start_matches('0').to_owned()),
            }
        } else {
            Value::Digits(bare.to_owned())
        });
    }

    /// The number so far with 1 to 19 behind it: added where there is room, else as further digits.
    fn with_ones(&self, ones: u128, before: Option<Word>) -> Value {
        let append = |text: String| Value::Digits(text + &ones.to_string());
        match &self.value {
            None => Value::Whole(ones),
            // "one oh twenty five": the last zero gives way to the digit.
            Some(Value::Digits(digits)) if matches!(before, Some(Word::Ten(_))) && ones < 10 => {
                let mut digits = digits.clone();
                digits.pop();
                append(digits)
            }
            Some(Value::Digits(digits)) => append(digits.clone()),
            Some(value) if matches!(before, Some(Word::One(_))) => append(value.text()),
            Some(Value::Whole(value)) => {
                let room = if ones < 10 { 10 } else { 100 };
                match value.checked_add(ones).filter(|_| value % room == 0) {
                    Some(sum) => Value::Whole(sum),
                    None => append(value.to_string()),
                }
            }
        }
    }

    /// The same with 20 to 90.
    fn with_tens(&self, tens: u128) -> Value {
        match &self.value {
            None => Value::Whole(tens),
            Some(Value::Whole(value)) if value % 100 == 0 && value.checked_add(tens).is_some() => {
                Value::Whole(value + tens)
            }
            Some(value) => Value::Digits(value.text() + &tens.to_string()),
        }
    }

    fn multiply(&mut self, multiplier: u128) {
        let product = match &self.value {
            None => Some(multiplier),
            Some(Value::Whole(value)) if *value != 0 => hundreds_times(*value, multiplier),
            Some(value) => value.times(multiplier),
        };
        if product.is_none() {
            self.flush();
        }
        self.value = Some(Value::Whole(product.unwrap_or(multiplier)));
    }

    fn multiply_and_end(&mut self, multiplier: u128, end: &str) {
        let product = match &self.value {
            None => Some(multiplier),
            Some(Value::Whole(value)) => hundreds_times(*value, multiplier),
            Some(value) => value.times(multiplier),
        };
        if product.is_none() {
            self.flush();
        }
        self.output(&format!("{}{end}", product.unwrap_or(multiplier)));
    }
}

/// What is below a thousand multiplied, the rest as it is.
fn hundreds_times(value: u128, multiplier: u128) -> Option<u128> {
    (value % 1000).checked_mul(multiplier)?.checked_add(value / 1000 * 1000)
}

/// Digits, perhaps with a point and more digits.
fn is_number(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    [whole, fraction].iter().all(|part| !part.is_empty() && part.chars().all(is_digit))
}

/// `and a half` behind a number is `point five`, and digits stand alone but for endings.
fn preprocess(text: &str, lexicon: &Lexicon) -> String {
    let text: Vec<char> = text.chars().collect();
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < text.len() {
        match and_a_half(&text, at) {
            0 => at += 1,
            length => {
                parts.push(&text[start..at]);
                at += length;
                start = at;
            }
        }
    }
    parts.push(&text[start..]);
    let (last, mut joined) = (parts.len() - 1, Vec::new());
    for (at, part) in parts.into_iter().enumerate() {
        let part: String = part.iter().collect();
        let Some(word) = words(&part).last() else { continue };
        let number =
            matches!(lexicon.get(word), Some(Word::Zero | Word::One(_) | Word::Ten(_) | Word::Multiplier(_)));
        let half = (at < last).then_some(if number { "point five" } else { "and a half" });
        joined.push(part.clone());
        joined.extend(half.map(str::to_owned));
    }
    let text: Vec<char> = joined.join(" ").chars().collect();
    let part = |text: &[char], first: fn(&char) -> bool, second: fn(&char) -> bool| {
        sub(text, |at, out| match text.get(at..at + 2) {
            Some([a, b]) if first(a) && second(b) => {
                out.extend([*a, ' ', *b]);
                2
            }
            _ => 0,
        })
    };
    let text = part(&text, char::is_ascii_lowercase, char::is_ascii_digit);
    let text = part(&text, char::is_ascii_digit, char::is_ascii_lowercase);
    let text = sub(&text, |at, out| {
        let end = at + 1 + spaces(&text, at + 1);
        let suffix: String =
            text.get(end..).unwrap_or_default().iter().take_while(|c| is_word(**c)).collect();
        if !text[at].is_ascii_digit() || end == at + 1 || !["st", "nd", "rd", "th", "s"].contains(&&*suffix) {
            return 0;
        }
        out.push(text[at]);
        out.extend(suffix.chars());
        end - at + suffix.len()
    });
    text.into_iter().collect()
}

/// How long `and a half` is at `at`, as whole words; 0 where it is not there.
fn and_a_half(text: &[char], at: usize) -> usize {
    let mut end = at;
    for (word, spaced) in [("and", true), ("a", true), ("half", false)] {
        if !text[end..].iter().zip(word.chars()).all(|(a, b)| *a == b) || text.len() - end < word.len() {
            return 0;
        }
        end += word.len();
        let count = spaces(text, end);
        if spaced && count == 0 {
            return 0;
        }
        end += if spaced { count } else { 0 };
    }
    if boundary(text, at) && boundary(text, end) { end - at } else { 0 }
}

/// Dollars and cents are one sum, cents alone have their sign, and 1 is a word.
fn postprocess(text: &str) -> String {
    let text: Vec<char> = text.chars().collect();
    let text = sub(&text, |at, out| whole_and_cents(&text, at, out).unwrap_or(0));
    let text = sub(&text, |at, out| {
        let found = matches!(text[at..], ['€' | '£' | '$', '0', any, ..] if any != '\n');
        match found.then(|| cents(&text, at + 3)).flatten() {
            Some((value, length)) => {
                out.extend(format!("¢{value}").chars());
                3 + length
            }
            None => 0,
        }
    });
    let text = sub(&text, |at, out| {
        let plural = usize::from(text.get(at + 1) == Some(&'s'));
        let fits = text[at] == '1' && boundary(&text, at);
        // With an s, else without: `1s` and `1`.
        let length = (0..=plural).rev().map(|s| 1 + s).find(|length| fits && boundary(&text, at + length));
        match length {
            Some(length) => {
                out.extend("one".chars());
                out.extend(&text[at + 1..at + length]);
                length
            }
            None => 0,
        }
    });
    text.into_iter().collect()
}

/// `$2 and ¢7`.
fn whole_and_cents(text: &[char], at: usize, out: &mut Vec<char>) -> Option<usize> {
    if !matches!(text[at], '€' | '£' | '$') {
        return None;
    }
    let digits = text[at + 1..].iter().take_while(|c| c.is_ascii_digit()).count();
    let mut end = at + 1 + digits;
    if digits == 0 || text.get(end) != Some(&' ') {
        return None;
    }
    end += 1;
    if text[end..].starts_with(&['a', 'n', 'd', ' ']) {
        end += 4;
    }
    if text.get(end) != Some(&'¢') {
        return None;
    }
    let (value, length) = cents(text, end + 1)?;
    out.extend(&text[at..=at + digits]);
    out.extend(format!(".{value:02}").chars());
    Some(end + 1 + length - at)
}

/// One or two digits that a word ends with, and how many.
fn cents(text: &[char], at: usize) -> Option<(u8, usize)> {
    let digits = text.get(at..)?.iter().take_while(|c| c.is_ascii_digit()).take(2).count();
    if digits == 0 || !boundary(text, at + digits) {
        return None;
    }
    Some((text[at..at + digits].iter().fold(0, |value, c| 10 * value + digit(*c)), digits))
}
