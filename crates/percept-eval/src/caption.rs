//! Captions against several references each: BLEU (Papineni et al. 2002), ROUGE-L (Lin 2004) and CIDEr-D (Vedantam et al. 2015,
//! arXiv 1411.5726), with the numbers of pycocoevalcap on the same words.

mod bleu;
mod cider;
mod read;
mod rouge;
mod words;

use std::collections::HashMap;

use serde::Serialize;

use crate::Metric;
use crate::metric::{as_object, mean};

pub(crate) use read::pairs;

/// What captions are worth.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Captions that were scored.
    pub pictures: usize,
    /// References of them all.
    pub references: usize,
    /// `exact`, `BLEU-1` to `BLEU-4`, `ROUGE-L` and `CIDEr`.
    #[serde(serialize_with = "as_object")]
    pub metrics: Vec<Metric>,
}

/// A caption and its references.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// What was answered.
    pub caption: String,
    /// What people said.
    pub references: Vec<String>,
}

/// The longest stretches of words that count.
const LONGEST: usize = 4;

/// A caption in words.
struct Words {
    caption: Vec<String>,
    references: Vec<Vec<String>>,
}

/// Stretches of one to [`LONGEST`] words, and how often each is there.
type Counts<'a> = HashMap<&'a [String], u32>;

fn counts(words: &[String]) -> Counts<'_> {
    let mut counts = Counts::new();
    for length in 1..=LONGEST {
        words.windows(length).for_each(|stretch| *counts.entry(stretch).or_default() += 1);
    }
    counts
}

/// The numbers of some captions.
pub fn score(all: &[Said]) -> Report {
    let split = |said: &Said| Words {
        caption: words::split(&said.caption),
        references: said.references.iter().map(|text| words::split(text)).collect(),
    };
    let words: Vec<Words> = all.iter().map(split).collect();
    let exact = mean(words.iter().map(|words| f64::from(words.references.contains(&words.caption))));
    let some = |value: f64| (!all.is_empty()).then_some(value);
    let mut metrics = vec![Metric::new("exact", exact)];
    let bleu = bleu::score(&words);
    metrics.extend(
        bleu.into_iter().zip(1..).map(|(value, length)| Metric::new(format!("BLEU-{length}"), some(value))),
    );
    metrics.push(Metric::new("ROUGE-L", mean(words.iter().map(rouge::score))));
    metrics.push(Metric::new("CIDEr", mean(cider::scores(&words))));
    Report { pictures: all.len(), references: all.iter().map(|said| said.references.len()).sum(), metrics }
}

#[cfg(test)]
mod golden;
