//! ROUGE-L of a caption, as `pycocoevalcap/rouge/rouge.py` computes it.

use super::Words;

/// How much more recall counts than precision.
const BETA: f64 = 1.2;

/// F of the best precision and the best recall among the references.
pub(super) fn score(words: &Words) -> f64 {
    let common = |reference: &Vec<String>| longest_common(&words.caption, reference) as f64;
    let best = |each: &dyn Fn(&Vec<String>) -> f64| words.references.iter().map(each).fold(0.0, f64::max);
    let part = |common: f64, length: usize| if length == 0 { 0.0 } else { common / length as f64 };
    let precision = best(&|reference| part(common(reference), words.caption.len()));
    let recall = best(&|reference| part(common(reference), reference.len()));
    if precision == 0.0 || recall == 0.0 {
        return 0.0;
    }
    (1.0 + BETA * BETA) * precision * recall / (recall + BETA * BETA * precision)
}

/// The length of the longest sequence that both have, not necessarily in one piece.
fn longest_common(one: &[String], other: &[String]) -> usize {
    let mut row = vec![0; other.len() + 1];
    for a in one {
        let mut before = 0;
        for (at, b) in other.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if a == b { before + 1 } else { above.max(row[at]) };
            before = above;
        }
    }
    row[other.len()]
}
