//! BLEU of a whole set, as `pycocoevalcap/bleu/bleu_scorer.py` computes it: clipped counts, the reference length that is
//! closest, a brevity penalty.

use super::{LONGEST, Words, counts};

/// What keeps products from being 0 and quotients from being infinite, as in the reference.
const TINY: f64 = 1e-15;
const SMALL: f64 = 1e-9;

/// BLEU-1 to BLEU-4.
pub(super) fn score(all: &[Words]) -> [f64; LONGEST] {
    let (mut length, mut wanted) = (0_usize, 0_usize);
    let (mut guessed, mut right) = ([0_usize; LONGEST], [0_u64; LONGEST]);
    for Words { caption, references } in all {
        length += caption.len();
        let closest =
            references.iter().map(Vec::len).min_by_key(|other| (other.abs_diff(caption.len()), *other));
        wanted += closest.unwrap_or_default();
        for (at, guessed) in guessed.iter_mut().enumerate() {
            *guessed += caption.len().saturating_sub(at);
        }
        let known: Vec<_> = references.iter().map(|reference| counts(reference)).collect();
        for (stretch, count) in counts(caption) {
            let most = known.iter().filter_map(|known| known.get(stretch)).max().copied().unwrap_or_default();
            right[stretch.len() - 1] += u64::from(count.min(most));
        }
    }
    let ratio = (length as f64 + TINY) / (wanted as f64 + SMALL);
    let brevity = if ratio < 1.0 { (1.0 - 1.0 / ratio).exp() } else { 1.0 };
    let mut product = 1.0;
    std::array::from_fn(|at| {
        product *= (right[at] as f64 + TINY) / (guessed[at] as f64 + SMALL);
        f64::powf(product, 1.0 / (at + 1) as f64) * brevity
    })
}
