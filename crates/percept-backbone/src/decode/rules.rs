//! Rules that forbid tokens.

/// Forbids tokens by setting their scores to minus infinity.
pub trait Rule: Sync {
    /// `generated` are the tokens after the prompt; `scores` are those of the next token.
    fn apply(&self, generated: &[u32], scores: &mut [f32]);
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

fn forbid(tokens: &[u32], scores: &mut [f32]) {
    for token in tokens {
        if let Some(score) = scores.get_mut(*token as usize) {
            *score = f32::NEG_INFINITY;
        }
    }
}
