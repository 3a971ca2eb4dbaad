//! From a decoder's scores to token sequences: greedy, beam and sampled search, once for every task.
//!
//! A [`Decoder`] is immutable; what a running decode knows is its `State`, a value that the search
//! owns. Rules ([`Rule`]) forbid tokens before one is chosen.

mod beam;
mod independent;
mod rules;
mod scores;

use crate::Result;

pub use percept_kernels::{largest, log_sum_exp};
pub use rules::{Rule, Suppress, SuppressAtStart};
pub use scores::softmax;

/// Something that scores the next token.
pub trait Decoder {
    /// What a running decode knows: caches of keys and values.
    type State;

    /// Feeds one token to each row of the state and gives the scores of the next:
    /// `[rows, vocabulary]`, row-major, unnormalised.
    fn step(&self, tokens: &[u32], state: &mut Self::State) -> Result<Vec<f32>>;

    /// Keeps the rows that `rows` names, in that order; a row may be named twice.
    fn select(&self, state: &mut Self::State, rows: &[usize]) -> Result<()>;
}

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Strategy {
    /// The most probable token at every step.
    Greedy,
    /// Beam search as Hugging Face transformers does it (`early_stopping=False`): scores are sums
    /// of log-probabilities over length to the power of `length_penalty`.
    Beam {
        /// Sequences that are kept.
        beams: usize,
        /// Exponent of the length.
        length_penalty: f32,
    },
    /// Tokens drawn at a temperature.
    Sample {
        /// Divides the scores; above 0.
        temperature: f32,
        /// Sequences that are drawn.
        candidates: usize,
        /// Of the random numbers.
        seed: u64,
    },
}

/// What a search needs to know beside the decoder.
pub struct Search<'a> {
    /// How to search.
    pub strategy: Strategy,
    /// Applied in order to the scores of every step.
    pub rules: &'a [&'a dyn Rule],
    /// The token that ends a sequence.
    pub end: u32,
    /// Tokens after which a sequence is cut, the end included.
    pub max_new: usize,
}

/// A sequence that the search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// The new tokens; the last is the end token, unless the sequence was cut.
    pub tokens: Vec<u32>,
    /// Log-probability of each token among those that the rules allowed.
    pub logprobs: Vec<f32>,
    /// What the search ranks by.
    pub score: f32,
}

impl Hypothesis {
    /// Sum of the log-probabilities over the number of tokens.
    pub fn mean_logprob(&self) -> f32 {
        self.logprobs.iter().sum::<f32>() / self.logprobs.len().max(1) as f32
    }
}

/// Searches on from a state of one row, whose next scores are `first`. Best hypothesis first; there
/// is at least one.
pub fn generate<D: Decoder>(
    decoder: &D,
    state: D::State,
    first: Vec<f32>,
    search: &Search<'_>,
) -> Result<Vec<Hypothesis>> {
    match search.strategy {
        Strategy::Greedy => independent::search(decoder, state, first, search, None),
        Strategy::Sample { temperature, candidates, seed } => {
            let drawing = independent::Drawing { temperature, candidates: candidates.max(1), seed };
            independent::search(decoder, state, first, search, Some(drawing))
        }
        Strategy::Beam { beams, length_penalty } => {
            beam::search(decoder, state, first, search, beams.max(1), length_penalty)
        }
    }
}
