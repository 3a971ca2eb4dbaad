//! Any text in HTML, and any value as JSON in an element of HTML.

use std::fmt::Write;

use serde::Serialize;

/// As text or as the value of an attribute between double quotes. What is no character of HTML (control characters but
/// for tabs and line breaks) is shown as a replacement character.
pub(super) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' => escaped.push(c),
            c if c.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}

/// JSON that ends no element and begins no comment in HTML, and no line in a script: `<`, `>`, `&` and the separators
/// U+2028 and U+2029 are written as their numbers. All of them stand in strings only.
pub(super) fn json(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a string does not fail.
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place() {
        assert_eq!(
            html("<a b=\"c\" d='e'>&\u{0}\n"),
            "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;\u{fffd}\n"
        );
        let hostile = "</script><!--<script>&\u{2028}\"\\";
        let line = json(&hostile);
        assert!(!line.contains(['<', '>', '&', '\u{2028}']), "{line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), hostile);
    }
}
