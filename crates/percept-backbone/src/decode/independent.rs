//! Greedy and sampled decoding: rows that know nothing of each other.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::walk::Turn;
use super::{Hypothesis, Search, scores};

/// How tokens are drawn.
pub(super) struct Drawing {
    pub(super) temperature: f32,
    pub(super) candidates: usize,
    pub(super) seed: u64,
}

/// One greedy row, or several drawn ones, under way.
pub(super) struct Rows {
    drawing: Option<Drawing>,
    running: Vec<Row>,
    finished: Vec<Row>,
}

impl Rows {
    pub(super) fn new(drawing: Option<Drawing>) -> Self {
        let count = drawing.as_ref().map_or(1, |drawing| drawing.candidates);
        let running = (0..count).map(|row| Row::new(row, drawing.as_ref())).collect();
        Self { drawing, running, finished: Vec::with_capacity(count) }
    }

    /// How many rows there are at first.
    pub(super) fn count(&self) -> usize {
        self.running.len()
    }

    /// Goes on from the scores of each row.
    pub(super) fn take(&mut self, logits: &mut [f32], search: &Search<'_>) -> Turn {
        let before = self.running.len();
        let vocabulary = logits.len() / before;
        let temperature = self.drawing.as_ref().map(|drawing| drawing.temperature);
        let (mut kept, mut tokens) = (Vec::with_capacity(before), Vec::with_capacity(before));
        let rows = std::mem::take(&mut self.running).into_iter().zip(logits.chunks_exact_mut(vocabulary));
        for (index, (mut row, scores)) in rows.enumerate() {
            let token = row.choose(scores, search, temperature);
            if token == search.end || row.tokens.len() >= search.max_new {
                self.finished.push(row);
            } else {
                kept.push(index);
                tokens.push(token);
                self.running.push(row);
            }
        }
        match self.running.len() {
            0 => Turn::End,
            rows => Turn::Go { kept: (rows < before).then_some(kept), tokens },
        }
    }

    /// What was found, best first.
    pub(super) fn finish(self) -> Vec<Hypothesis> {
        let mut hypotheses = self.finished.into_iter().map(Row::finish).collect::<Vec<_>>();
        hypotheses.sort_by(|a, b| b.score.total_cmp(&a.score));
        hypotheses
    }
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
        for rule in &search.rules {
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
