//! CIDEr-D of each caption of a set, as `pycocoevalcap/cider/cider_scorer.py` computes it: cosine of counts weighed by how rare
//! a stretch is among the pictures, clipped, with a Gaussian of the difference in length.

use std::collections::{HashMap, HashSet};

use super::{Counts, LONGEST, Words, counts};

/// Standard deviation of the difference in length, in pairs of words.
const SIGMA: f64 = 6.0;

/// Weighed counts by length, their norms, and how many pairs of words there are.
struct Vector<'a> {
    weights: [HashMap<&'a [String], f64>; LONGEST],
    norms: [f64; LONGEST],
    pairs: f64,
}

pub(super) fn scores(all: &[Words]) -> Vec<f64> {
    let mut pictures: HashMap<&[String], u32> = HashMap::new();
    for words in all {
        let known: HashSet<&[String]> =
            words.references.iter().flat_map(|reference| counts(reference).into_keys()).collect();
        known.into_iter().for_each(|stretch| *pictures.entry(stretch).or_default() += 1);
    }
    let log_all = (all.len() as f64).ln();
    let rarity = |stretch: &[String]| log_all - f64::from(pictures.get(stretch).copied().unwrap_or(1)).ln();
    let score = |words: &Words| {
        let said = vector(counts(&words.caption), &rarity);
        let each =
            words.references.iter().map(|reference| likeness(&said, &vector(counts(reference), &rarity)));
        10.0 * each.sum::<f64>() / words.references.len().max(1) as f64
    };
    all.iter().map(score).collect()
}

fn vector<'a>(counts: Counts<'a>, rarity: &impl Fn(&[String]) -> f64) -> Vector<'a> {
    let mut vector = Vector { weights: Default::default(), norms: [0.0; LONGEST], pairs: 0.0 };
    for (stretch, count) in counts {
        let (at, weight) = (stretch.len() - 1, f64::from(count) * rarity(stretch));
        vector.norms[at] += weight * weight;
        vector.weights[at].insert(stretch, weight);
        if at == 1 {
            // The reference counts pairs for the length.
            vector.pairs += f64::from(count);
        }
    }
    vector.norms = vector.norms.map(f64::sqrt);
    vector
}

/// The mean over lengths.
fn likeness(said: &Vector<'_>, reference: &Vector<'_>) -> f64 {
    let decay = (-(said.pairs - reference.pairs).powi(2) / (2.0 * SIGMA * SIGMA)).exp();
    let of_length = |at: usize| {
        let common = said.weights[at].iter().map(|(stretch, weight)| {
            let theirs = reference.weights[at].get(stretch).copied().unwrap_or_default();
            weight.min(theirs) * theirs
        });
        let norms = said.norms[at] * reference.norms[at];
        common.sum::<f64>() / if norms == 0.0 { 1.0 } else { norms }
    };
    (0..LONGEST).map(of_length).sum::<f64>() * decay / LONGEST as f64
}
