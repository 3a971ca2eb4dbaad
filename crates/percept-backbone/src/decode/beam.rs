//! Beam search with the semantics of Hugging Face transformers 5 (`generation/utils.py`,
//! `_beam_search`, one end token).

use std::sync::Arc;

use super::walk::Turn;
use super::{Hypothesis, Search, Stopping, scores};

/// A sequence that is still growing.
#[derive(Clone)]
struct Beam {
    /// Sum of the log-probabilities, before the rules took their share.
    score: f32,
    trail: Option<Arc<Step>>,
    len: usize,
}

/// A token and those before it; beams share their common past.
struct Step {
    token: u32,
    logprob: f32,
    before: Option<Arc<Step>>,
}

impl Beam {
    fn tokens(&self) -> Vec<u32> {
        self.unwind().into_iter().map(|(token, _)| token).collect()
    }

    fn unwind(&self) -> Vec<(u32, f32)> {
        let mut steps = Vec::with_capacity(self.len);
        let mut next = self.trail.as_ref();
        while let Some(step) = next {
            steps.push((step.token, step.logprob));
            next = step.before.as_ref();
        }
        steps.reverse();
        steps
    }

    fn grown(&self, token: u32, score: f32, logprob: f32) -> Self {
        let trail = Some(Arc::new(Step { token, logprob, before: self.trail.clone() }));
        Self { score, trail, len: self.len + 1 }
    }

    fn finish(&self, score: f32) -> Hypothesis {
        let (tokens, logprobs) = self.unwind().into_iter().unzip();
        Hypothesis { tokens, logprobs, score }
    }
}

/// A beam search under way.
pub(super) struct Beams {
    count: usize,
    length_penalty: f32,
    stopping: Stopping,
    running: Vec<Beam>,
    finished: Vec<(f32, Beam)>,
    /// Tokens of a beam that is still growing, the next one included.
    len: usize,
}

impl Beams {
    pub(super) fn new(count: usize, length_penalty: f32, stopping: Stopping) -> Self {
        let running = vec![Beam { score: 0.0, trail: None, len: 0 }];
        Self { count, length_penalty, stopping, running, finished: Vec::new(), len: 1 }
    }

    /// Goes on from the scores of each beam.
    pub(super) fn take(&mut self, logits: &mut [f32], search: &Search<'_>) -> Turn {
        let (beams, len, running) = (self.count, self.len, &self.running);
        let vocabulary = logits.len() / running.len();
        let before = match self.stopping {
            Stopping::Classic(before) => Some(before),
            Stopping::Likely | Stopping::Early | Stopping::Surely => None,
        };
        let totals = restrict(logits, vocabulary, running, search, before.is_none());
        let rows = logits
            .chunks_exact(vocabulary)
            .zip(&totals)
            .zip(running)
            .map(|((scores, (total, _)), beam)| {
                let total = if before.is_none() { *total } else { 0.0 };
                scores::Row { scores, total, offset: beam.score }
            })
            .collect::<Vec<_>>();
        // Twice as many as are kept: even if half of them end, enough are left to go on.
        let candidates = scores::top(&rows, 2 * beams)
            .into_iter()
            .filter(|(_, _, score)| *score > f32::NEG_INFINITY)
            .map(|(row, token, score)| {
                let (total, left) = totals[row];
                let total = if before.is_none() { 0.0 } else { total };
                let logprob = score - running[row].score - total - left;
                (row, running[row].grown(token, score, logprob))
            })
            .collect::<Vec<_>>();
        let ended = |beam: &Beam| beam.trail.as_ref().is_some_and(|step| step.token == search.end);
        let ends = |beam: &Beam| ended(beam) || (before.is_none() && len >= search.max_new);
        let worth_at = |beam: &Beam, len: usize| {
            beam.score / ((len + before.unwrap_or(0)) as f32).powf(self.length_penalty)
        };
        let worth = |beam: &Beam| worth_at(beam, len);
        // Only the best `beams` candidates may end; the others are there to go on.
        for (_, beam) in candidates.iter().take(beams).filter(|(_, beam)| ends(beam)) {
            self.finished.push((worth(beam), beam.clone()));
        }
        self.finished.sort_by(|a, b| b.0.total_cmp(&a.0));
        self.finished.truncate(beams);
        let likeliest = candidates.first().map(|(_, beam)| worth(beam));
        let (parents, next): (Vec<usize>, Vec<Beam>) =
            candidates.into_iter().filter(|(_, beam)| !ends(beam)).take(beams).unzip();
        let Some(best) = next.first() else { return Turn::End };
        let hope = match self.stopping {
            Stopping::Surely if self.length_penalty > 0.0 => worth_at(best, search.max_new),
            Stopping::Early => f32::NEG_INFINITY,
            Stopping::Likely | Stopping::Surely => worth(best),
            Stopping::Classic(_) => likeliest.unwrap_or(f32::NEG_INFINITY),
        };
        if self.finished.len() == beams && self.finished.last().is_some_and(|(worst, _)| hope <= *worst) {
            return Turn::End;
        }
        if before.is_some() && len >= search.max_new {
            self.finished.extend(next.iter().map(|beam| (worth(beam), beam.clone())));
            self.finished.sort_by(|a, b| b.0.total_cmp(&a.0));
            self.finished.truncate(beams);
            return Turn::End;
        }
        let kept = parents.iter().copied().ne(0..running.len()).then_some(parents);
        let tokens = next.iter().filter_map(|beam| beam.trail.as_ref().map(|step| step.token)).collect();
        self.running = next;
        self.len += 1;
        Turn::Go { kept, tokens }
    }

    /// What was found, best first.
    pub(super) fn finish(mut self) -> Vec<Hypothesis> {
        if self.finished.is_empty() {
            // Every token was forbidden: the sequences end where they stand.
            self.finished = self.running.into_iter().map(|beam| (beam.score, beam)).collect();
        }
        self.finished.into_iter().map(|(score, beam)| beam.finish(score)).collect()
    }
}

/// Applies the rules to the scores of each row. Gives, for each, the log of the sum of all powers, which
/// turns scores into log-probabilities, and the log of the probability that the rules left.
fn restrict(
    logits: &mut [f32],
    vocabulary: usize,
    running: &[Beam],
    search: &Search<'_>,
    normalised: bool,
) -> Vec<(f32, f32)> {
    logits
        .chunks_exact_mut(vocabulary)
        .zip(running)
        .map(|(row, beam)| {
            let mut total = scores::log_sum_exp(row);
            let tokens = beam.tokens();
            if normalised && search.rules.iter().any(|rule| !rule.only_forbids()) {
                row.iter_mut().for_each(|score| *score -= total);
                total = 0.0;
            }
            for rule in &search.rules {
                rule.apply(&tokens, row);
            }
            (total, scores::log_sum_exp(row) - total)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Decoder, Feed, Strategy, generate};
    use super::*;
    use crate::Result;

    /// Scores depend on the last token only; token 0 ends.
    struct Chain([[f32; 3]; 3]);

    impl Decoder for Chain {
        type State = usize;

        fn step(&self, feeds: &mut [Feed<'_, usize>], scores: &mut Vec<f32>) -> Result<()> {
            scores.clear();
            for Feed { tokens, state: rows } in feeds {
                assert_eq!(tokens.len(), **rows);
                scores.extend(tokens.iter().flat_map(|token| self.0[*token as usize].map(f32::ln)));
            }
            Ok(())
        }

        fn select(&self, rows: &mut usize, kept: &[usize]) -> Result<()> {
            assert!(kept.iter().all(|row| row < rows));
            *rows = kept.len();
            Ok(())
        }
    }

    #[test]
    fn a_beam_finds_what_greedy_misses() {
        // Greedy takes 1 (0.6) and then can only end at 0.4; the path over 2 is worth more.
        let chain = Chain([[1.0, 0.0, 0.0], [0.4, 0.3, 0.3], [0.9, 0.05, 0.05]]);
        let first = [0.0_f32, 0.6, 0.4].map(f32::ln).to_vec();
        let run = |strategy| {
            let search = Search { strategy, rules: vec![], end: 0, max_new: 4 };
            generate(&chain, 1, first.clone(), search).unwrap()[0].clone()
        };
        assert_eq!(run(Strategy::Greedy).tokens, vec![1, 0]);
        let best = run(Strategy::Beam { beams: 2, length_penalty: 1.0, stopping: Stopping::Likely });
        assert_eq!(best.tokens, vec![2, 0]);
        assert!((best.score - (0.4_f32 * 0.9).ln() / 2.0).abs() < 1e-6);
    }
}
