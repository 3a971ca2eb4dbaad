//! Rules that forbid tokens, or change their scores, as transformers' `generation/logits_process.py`.

use std::collections::BTreeSet;

/// Forbids tokens by setting their scores to minus infinity, or changes scores.
pub trait Rule: Sync {
    /// `generated` are the tokens after the prompt; `scores` are those of the next token.
    fn apply(&self, generated: &[u32], scores: &mut [f32]);

    /// Whether it only forbids. What else it does depends on where scores begin: a beam search then hands it
    /// log-probabilities, as transformers does.
    fn only_forbids(&self) -> bool {
        true
    }
}

/// Forbids some tokens always.
#[derive(Clone, Debug)]
pub struct Suppress(pub Vec<u32>);

impl Rule for Suppress {
    fn apply(&self, _: &[u32], scores: &mut [f32]) {
        forbid(&self.0, scores);
    }
}

/// Forbids some tokens as the first.
#[derive(Clone, Debug)]
pub struct SuppressAtStart(pub Vec<u32>);

impl Rule for SuppressAtStart {
    fn apply(&self, generated: &[u32], scores: &mut [f32]) {
        if generated.is_empty() {
            forbid(&self.0, scores);
        }
    }
}

/// Makes what was said less likely: scores of tokens of the prompt and of the text are divided by a number, negative
/// ones multiplied (Keskar et al. 2019, arXiv 1909.05858).
#[derive(Clone, Debug)]
pub struct RepetitionPenalty {
    /// What divides; 1 changes nothing.
    pub penalty: f32,
    /// The tokens before the text, which count as said.
    pub prompt: Vec<u32>,
}

impl Rule for RepetitionPenalty {
    fn apply(&self, generated: &[u32], scores: &mut [f32]) {
        let said = self.prompt.iter().chain(generated).collect::<BTreeSet<_>>();
        for token in said {
            if let Some(score) = scores.get_mut(*token as usize) {
                *score = if *score < 0.0 { *score * self.penalty } else { *score / self.penalty };
            }
        }
    }

    fn only_forbids(&self) -> bool {
        false
    }
}

/// Forbids to end before a number of new tokens.
#[derive(Clone, Debug)]
pub struct MinLength {
    /// The token that ends a text.
    pub end: u32,
    /// New tokens before it.
    pub tokens: usize,
}

impl Rule for MinLength {
    fn apply(&self, generated: &[u32], scores: &mut [f32]) {
        if generated.len() < self.tokens {
            forbid(&[self.end], scores);
        }
    }
}

/// Forbids runs of tokens that are in the prompt or the text already.
#[derive(Clone, Debug)]
pub struct NoRepeat {
    /// Tokens of a run; above 0.
    pub run: usize,
    /// The tokens before the text.
    pub prompt: Vec<u32>,
}

impl Rule for NoRepeat {
    fn apply(&self, generated: &[u32], scores: &mut [f32]) {
        let all = [&self.prompt, generated].concat();
        let Some(before) = self.run.checked_sub(1).filter(|before| *before < all.len()) else { return };
        let last = &all[all.len() - before..];
        for run in all.windows(self.run).filter(|run| run[..before] == *last) {
            forbid(&run[before..], scores);
        }
    }
}

/// Forbids all but one token as the first, at no cost.
#[derive(Clone, Debug)]
pub struct ForceAtStart(pub u32);

impl Rule for ForceAtStart {
    fn apply(&self, generated: &[u32], scores: &mut [f32]) {
        if generated.is_empty() {
            force(self.0, scores);
        }
    }

    fn only_forbids(&self) -> bool {
        false
    }
}

/// Forbids all but one token as the last of so many new ones, at no cost.
#[derive(Clone, Debug)]
pub struct ForceAtEnd {
    /// The token.
    pub token: u32,
    /// New tokens that there are at most.
    pub max_new: usize,
}

impl Rule for ForceAtEnd {
    fn apply(&self, generated: &[u32], scores: &mut [f32]) {
        if generated.len() + 1 == self.max_new {
            force(self.token, scores);
        }
    }

    fn only_forbids(&self) -> bool {
        false
    }
}

fn force(token: u32, scores: &mut [f32]) {
    scores.fill(f32::NEG_INFINITY);
    if let Some(score) = scores.get_mut(token as usize) {
        *score = 0.0;
    }
}

fn forbid(tokens: &[u32], scores: &mut [f32]) {
    for token in tokens {
        if let Some(score) = scores.get_mut(*token as usize) {
            *score = f32::NEG_INFINITY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_run_is_said_twice() {
        let rule = NoRepeat { run: 3, prompt: vec![1] };
        let forbidden = |generated: &[u32]| {
            let mut scores = [0.0; 6];
            rule.apply(generated, &mut scores);
            (0..6).filter(|token| scores[*token] < 0.0).collect::<Vec<_>>()
        };
        assert_eq!(forbidden(&[2, 3, 4, 1, 2]), [3]);
        assert_eq!(forbidden(&[2, 3, 1, 2, 4, 1, 2]), [3, 4]);
        assert_eq!(forbidden(&[2]), Vec::<usize>::new());
    }
}
