//! The words of numbers.

use std::collections::HashMap;

/// What a word is to a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Word {
    Zero,
    /// 1 to 19.
    One(u128),
    /// The same as an ordinal or in plural, with the ending its digits take.
    OneEnded(u128, &'static str),
    /// 20 to 90.
    Ten(u128),
    TenEnded(u128, &'static str),
    /// A hundred and more.
    Multiplier(u128),
    MultiplierEnded(u128, &'static str),
    /// Before a number.
    Sign(char),
    /// Behind a number; the sign goes before it.
    Currency(char),
    Percent,
    /// With `cent` behind it, percent.
    Per,
    And,
    /// So many times the digit that follows.
    Repeat(usize),
    Point,
}

const ONES: [&str; 19] = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];

const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// With their powers of ten.
const MULTIPLIERS: [(&str, u32); 12] = [
    ("hundred", 2),
    ("thousand", 3),
    ("million", 6),
    ("billion", 9),
    ("trillion", 12),
    ("quadrillion", 15),
    ("quintillion", 18),
    ("sextillion", 21),
    ("septillion", 24),
    ("octillion", 27),
    ("nonillion", 30),
    ("decillion", 33),
];

const OTHERS: [(&str, Word); 27] = [
    ("o", Word::Zero),
    ("oh", Word::Zero),
    ("zero", Word::Zero),
    ("zeroth", Word::OneEnded(0, "th")),
    ("minus", Word::Sign('-')),
    ("negative", Word::Sign('-')),
    ("plus", Word::Sign('+')),
    ("positive", Word::Sign('+')),
    ("pound", Word::Currency('£')),
    ("pounds", Word::Currency('£')),
    ("euro", Word::Currency('€')),
    ("euros", Word::Currency('€')),
    ("dollar", Word::Currency('$')),
    ("dollars", Word::Currency('$')),
    ("cent", Word::Currency('¢')),
    ("cents", Word::Currency('¢')),
    ("per", Word::Per),
    ("percent", Word::Percent),
    ("and", Word::And),
    ("double", Word::Repeat(2)),
    ("triple", Word::Repeat(3)),
    ("point", Word::Point),
    // Ordinals that are not the number with an ending. Whisper's has `eighth`, but `nineth` and not `ninth`.
    ("first", Word::OneEnded(1, "st")),
    ("second", Word::OneEnded(2, "nd")),
    ("third", Word::OneEnded(3, "rd")),
    ("fifth", Word::OneEnded(5, "th")),
    ("twelfth", Word::OneEnded(12, "th")),
];

/// All words of numbers.
pub(super) struct Lexicon(HashMap<String, Word>);

impl Lexicon {
    pub(super) fn new() -> Self {
        let mut words: HashMap<String, Word> =
            OTHERS.iter().map(|(name, word)| ((*name).to_owned(), *word)).collect();
        for (name, value) in ONES.iter().zip(1..) {
            words.insert((*name).to_owned(), Word::One(value));
            let plural = if *name == "six" { "sixes".to_owned() } else { format!("{name}s") };
            words.insert(plural, Word::OneEnded(value, "s"));
            if value > 3 && value != 5 && value != 12 {
                let end = if name.ends_with('t') { "h" } else { "th" };
                words.insert(format!("{name}{end}"), Word::OneEnded(value, "th"));
            }
        }
        for (name, value) in TENS.iter().zip((20..).step_by(10)) {
            words.insert((*name).to_owned(), Word::Ten(value));
            words.insert(name.replace('y', "ies"), Word::TenEnded(value, "s"));
            words.insert(name.replace('y', "ieth"), Word::TenEnded(value, "th"));
        }
        for (name, power) in MULTIPLIERS {
            let value = 10_u128.pow(power);
            words.insert(name.to_owned(), Word::Multiplier(value));
            words.insert(format!("{name}s"), Word::MultiplierEnded(value, "s"));
            words.insert(format!("{name}th"), Word::MultiplierEnded(value, "th"));
        }
        Self(words)
    }

    pub(super) fn get(&self, word: &str) -> Option<Word> {
        self.0.get(word).copied()
    }
}
