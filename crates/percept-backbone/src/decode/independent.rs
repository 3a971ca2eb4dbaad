//! Greedy and sampled decoding: rows that know nothing of each other.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::walk::Turn;
use super::{Hypothesis, Search, scores};

/// How tokens are drawn.
#[derive(Clone, Copy)]
pub(super) struct Drawing {
    pub(super) temperature: f32,
    pub(super) top_k: Option<usize>,
    pub(super) top_p: Option<f32>,
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
        let drawing = self.drawing;
        let (mut kept, mut tokens) = (Vec::with_capacity(before), Vec::with_capacity(before));
        let rows = std::mem::take(&mut self.running).into_iter().zip(logits.chunks_exact_mut(vocabulary));
        for (index, (mut row, scores)) in rows.enumerate() {
            let token = row.choose(scores, search, drawing.as_ref());
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

    fn choose(&mut self, scores: &mut [f32], search: &Search<'_>, drawing: Option<&Drawing>) -> u32 {
        for rule in &search.rules {
            rule.apply(&self.tokens, scores);
        }
        let token = match (&mut self.random, drawing) {
            (Some(random), Some(drawing)) => draw(scores, drawing, random),
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

fn draw(scores: &[f32], drawing: &Drawing, random: &mut ChaCha8Rng) -> usize {
    let (max, temperature) = (scores::max(scores), drawing.temperature);
    let floor = floor(scores, drawing);
    let weights = scores.iter().map(|score| match *score >= floor {
        true => f64::from(((score - max) / temperature).exp()),
        false => 0.0,
    });
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

/// The lowest score that may be drawn.
fn floor(scores: &[f32], drawing: &Drawing) -> f32 {
    let &Drawing { temperature, top_k, top_p, .. } = drawing;
    if top_k.is_none() && top_p.is_none() {
        return f32::NEG_INFINITY;
    }
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    sorted.truncate(top_k.unwrap_or(sorted.len()).max(1));
    let (Some(&first), Some(&last)) = (sorted.first(), sorted.last()) else { return f32::NEG_INFINITY };
    let Some(top_p) = top_p else { return last };
    let weights = sorted.iter().map(|score| f64::from((score - first) / temperature).exp());
    let enough = f64::from(top_p) * weights.clone().sum::<f64>();
    let mut sum = 0.0;
    let fewest = weights.take_while(|weight| {
        let goes_on = sum < enough;
        sum += weight;
        goes_on
    });
    sorted[fewest.count().max(1) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_likeliest_are_drawn() {
        let scores = [0.1_f32, 0.4, 0.2, 0.3].map(f32::ln);
        let drawn = |top_k, top_p| {
            let drawing = Drawing { temperature: 1.0, top_k, top_p, candidates: 1, seed: 0 };
            let floor = floor(&scores, &drawing);
            (0..4).filter(|token| scores[*token] >= floor).collect::<Vec<_>>()
        };
        assert_eq!(drawn(None, None), [0, 1, 2, 3]);
        assert_eq!(drawn(Some(2), None), [1, 3]);
        assert_eq!(drawn(None, Some(0.3)), [1]);
        assert_eq!(drawn(None, Some(0.6)), [1, 3]);
        assert_eq!(drawn(None, Some(0.71)), [1, 2, 3]);
        // Of two, the first has four sevenths.
        assert_eq!(drawn(Some(2), Some(0.5)), [1]);
    }
}
