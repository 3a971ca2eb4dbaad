//! Greedy and sampled decoding: rows that know nothing of each other.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Decoder, Hypothesis, Search, scores};
use crate::Result;

/// How tokens are drawn.
pub(super) struct Drawing {
    pub(super) temperature: f32,
    pub(super) candidates: usize,
    pub(super) seed: u64,
}

/// Follows one greedy row, or several drawn ones.
pub(super) fn search<D: Decoder>(
    decoder: &D,
    mut state: D::State,
    first: Vec<f32>,
    search: &Search<'_>,
    drawing: Option<Drawing>,
) -> Result<Vec<Hypothesis>> {
    let count = drawing.as_ref().map_or(1, |drawing| drawing.candidates);
    let vocabulary = first.len();
    let mut rows = (0..count).map(|row| Row::new(row, drawing.as_ref())).collect::<Vec<_>>();
    let mut finished = Vec::with_capacity(count);
    let mut logits = first.repeat(count);
    if count > 1 {
        decoder.select(&mut state, &vec![0; count])?;
    }
    loop {
        let mut kept = Vec::with_capacity(rows.len());
        let mut next = Vec::with_capacity(rows.len());
        let before = rows.len();
        for (index, mut row) in std::mem::take(&mut rows).into_iter().enumerate() {
            let scores = &mut logits[index * vocabulary..][..vocabulary];
            let token = row.choose(scores, search, drawing.as_ref().map(|drawing| drawing.temperature));
            if token == search.end || row.tokens.len() >= search.max_new {
                finished.push(row);
            } else {
                kept.push(index);
                next.push(token);
                rows.push(row);
            }
        }
        if rows.is_empty() {
            break;
        }
        if rows.len() < before {
            decoder.select(&mut state, &kept)?;
        }
        logits = decoder.step(&next, &mut state)?;
    }
    let mut hypotheses = finished.into_iter().map(Row::finish).collect::<Vec<_>>();
    hypotheses.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(hypotheses)
}

struct Row {
    tokens: Vec<u32>,
    logprobs: Vec<f32>,
    random: Option<ChaCha8Rng>,
}

impl Row {
    fn new(row: usize, drawing: Option<&Drawing>) -> Self {
        // Each row has a stream of its own, so that it draws the same when others have ended.
        let random = drawing.map(|drawing| {
            let mut random = ChaCha8Rng::seed_from_u64(drawing.seed);
            random.set_stream(row as u64);
            random
        });
        Self { tokens: Vec::new(), logprobs: Vec::new(), random }
    }

    fn choose(&mut self, scores: &mut [f32], search: &Search<'_>, temperature: Option<f32>) -> u32 {
        for rule in search.rules {
            rule.apply(&self.tokens, scores);
        }
        let token = match (&mut self.random, temperature) {
            (Some(random), Some(temperature)) => draw(scores, temperature, random),
            _ => scores::argmax(scores),
        };
        self.logprobs.push(scores[token] - scores::log_sum_exp(scores));
        self.tokens.push(token as u32);
        token as u32
    }

    fn finish(self) -> Hypothesis {
        let mut hypothesis = Hypothesis { tokens: self.tokens, logprobs: self.logprobs, score: 0.0 };
        hypothesis.score = hypothesis.mean_logprob();
        hypothesis
    }
}

fn draw(scores: &[f32], temperature: f32, random: &mut ChaCha8Rng) -> usize {
    let max = scores::max(scores);
    let weights = scores.iter().map(|score| f64::from(((score - max) / temperature).exp()));
    let mut rest = random.random::<f64>() * weights.clone().sum::<f64>();
    let mut last = scores::argmax(scores);
    for (token, weight) in weights.enumerate() {
        if weight > 0.0 {
            last = token;
            rest -= weight;
            if rest < 0.0 {
                break;
            }
        }
    }
    last
}
