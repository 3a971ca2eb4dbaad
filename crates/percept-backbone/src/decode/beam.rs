//! Beam search with the semantics of Hugging Face transformers 5 (`generation/utils.py`,
//! `_beam_search`, `early_stopping=False`, one end token).

use std::rc::Rc;

use super::{Decoder, Hypothesis, Search, scores};
use crate::Result;

/// A sequence that is still growing.
#[derive(Clone)]
struct Beam {
    /// Sum of the log-probabilities, before the rules took their share.
    score: f32,
    trail: Option<Rc<Step>>,
    len: usize,
}

/// A token and those before it; beams share their common past.
struct Step {
    token: u32,
    logprob: f32,
    before: Option<Rc<Step>>,
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
        let trail = Some(Rc::new(Step { token, logprob, before: self.trail.clone() }));
        Self { score, trail, len: self.len + 1 }
    }

    fn finish(&self, score: f32) -> Hypothesis {
        let (tokens, logprobs) = self.unwind().into_iter().unzip();
        Hypothesis { tokens, logprobs, score }
    }
}

pub(super) fn search<D: Decoder>(
    decoder: &D,
    mut state: D::State,
    first: Vec<f32>,
    search: &Search<'_>,
    beams: usize,
    length_penalty: f32,
) -> Result<Vec<Hypothesis>> {
    let vocabulary = first.len();
    let mut running = vec![Beam { score: 0.0, trail: None, len: 0 }];
    let mut finished: Vec<(f32, Beam)> = Vec::new();
    let mut logits = first;
    for len in 1..=search.max_new.max(1) {
        let totals = restrict(&mut logits, vocabulary, &running, search);
        let rows = logits
            .chunks_exact(vocabulary)
            .zip(&totals)
            .zip(&running)
            .map(|((scores, (total, _)), beam)| scores::Row { scores, total: *total, offset: beam.score })
            .collect::<Vec<_>>();
        // Twice as many as are kept: even if half of them end, enough are left to go on.
        let candidates = scores::top(&rows, 2 * beams)
            .into_iter()
            .filter(|(_, _, score)| *score > f32::NEG_INFINITY)
            .map(|(row, token, score)| {
                let logprob = score - running[row].score - totals[row].1;
                (row, running[row].grown(token, score, logprob))
            })
            .collect::<Vec<_>>();
        let ends = |beam: &Beam| {
            len >= search.max_new || beam.trail.as_ref().is_some_and(|step| step.token == search.end)
        };
        // Only the best `beams` candidates may end; the others are there to go on.
        for (_, beam) in candidates.iter().take(beams).filter(|(_, beam)| ends(beam)) {
            finished.push((beam.score / (len as f32).powf(length_penalty), beam.clone()));
        }
        finished.sort_by(|a, b| b.0.total_cmp(&a.0));
        finished.truncate(beams);
        let (parents, next): (Vec<usize>, Vec<Beam>) =
            candidates.into_iter().filter(|(_, beam)| !ends(beam)).take(beams).unzip();
        let Some(best) = next.first() else { break };
        let hope = best.score / (len as f32).powf(length_penalty);
        if finished.len() == beams && finished.last().is_some_and(|(worst, _)| hope <= *worst) {
            break;
        }
        if parents.iter().copied().ne(0..running.len()) {
            decoder.select(&mut state, &parents)?;
        }
        running = next;
        let tokens =
            running.iter().filter_map(|beam| beam.trail.as_ref().map(|step| step.token)).collect::<Vec<_>>();
        logits = decoder.step(&tokens, &mut state)?;
    }
    if finished.is_empty() {
        // Every token was forbidden: the sequences end where they stand.
        finished = running.into_iter().map(|beam| (beam.score, beam)).collect();
    }
    Ok(finished.into_iter().map(|(score, beam)| beam.finish(score)).collect())
}

/// Applies the rules to the scores of each row. Gives, for each, the log of the sum of all powers, which
/// turns scores into log-probabilities, and the log of the probability that the rules left.
fn restrict(logits: &mut [f32], vocabulary: usize, running: &[Beam], search: &Search<'_>) -> Vec<(f32, f32)> {
    logits
        .chunks_exact_mut(vocabulary)
        .zip(running)
        .map(|(row, beam)| {
            let total = scores::log_sum_exp(row);
            let tokens = beam.tokens();
            for rule in search.rules {
                rule.apply(&tokens, row);
            }
            (total, scores::log_sum_exp(row) - total)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Strategy, generate};
    use super::*;

    /// Scores depend on the last token only; token 0 ends.
    struct Chain([[f32; 3]; 3]);

    impl Decoder for Chain {
        type State = usize;

        fn step(&self, tokens: &[u32], rows: &mut usize) -> Result<Vec<f32>> {
            assert_eq!(tokens.len(), *rows);
            Ok(tokens.iter().flat_map(|token| self.0[*token as usize].map(f32::ln)).collect())
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
            let search = Search { strategy, rules: &[], end: 0, max_new: 4 };
            generate(&chain, 1, first.clone(), &search).unwrap()[0].clone()
        };
        assert_eq!(run(Strategy::Greedy).tokens, vec![1, 0]);
        let best = run(Strategy::Beam { beams: 2, length_penalty: 1.0 });
        assert_eq!(best.tokens, vec![2, 0]);
        assert!((best.score - (0.4_f32 * 0.9).ln() / 2.0).abs() < 1e-6);
    }
}
