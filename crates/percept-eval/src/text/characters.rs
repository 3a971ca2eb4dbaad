//! What Python's `re` and `str` take a character for.

use unicode_general_category::{GeneralCategory as G, get_general_category};

/// `\s`, `str.isspace`: what Unicode calls white space, and the four separators of ASCII.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `\w`: letters, numbers and the underscore; no marks.
pub(super) fn is_word(c: char) -> bool {
    let category = get_general_category(c);
    use G::*;
    c == '_'
        || matches!(
            category,
            UppercaseLetter
                | LowercaseLetter
                | TitlecaseLetter
                | ModifierLetter
                | OtherLetter
                | DecimalNumber
                | LetterNumber
                | OtherNumber
        )
}

/// `\d`.
pub(super) fn is_digit(c: char) -> bool {
    get_general_category(c) == G::DecimalNumber
}

/// The value of a digit of any script: they stand in tens, zero first.
pub(super) fn digit(c: char) -> u8 {
    if let Some(value) = c.to_digit(10) {
        return value as u8;
    }
    let before = (1..).map_while(|back| char::from_u32((c as u32).wrapping_sub(back)));
    (before.take_while(|c| is_digit(*c)).take(60).count() % 10) as u8
}

/// A combining mark that has no width (`Mn`).
pub(super) fn is_diacritic(c: char) -> bool {
    get_general_category(c) == G::NonspacingMark
}

/// A mark, a symbol or punctuation: categories M, S and P.
pub(super) fn is_symbol(c: char) -> bool {
    use G::*;
    matches!(
        get_general_category(c),
        NonspacingMark
            | SpacingMark
            | EnclosingMark
            | MathSymbol
            | CurrencySymbol
            | ModifierSymbol
            | OtherSymbol
            | ConnectorPunctuation
            | DashPunctuation
            | OpenPunctuation
            | ClosePunctuation
            | InitialPunctuation
            | FinalPunctuation
            | OtherPunctuation
    )
}

/// `str.split()`.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}
