//! From a decoder's scores to token sequences: greedy, beam and sampled search, once for every task.
//!
//! A [`Decoder`] is immutable; what a running decode knows is its `State`, a value that the search
//! owns. Rules ([`Rule`]) forbid tokens before one is chosen. A search is a [`Walk`] that can be interrupted after
//! every token, so that several of them go in step ([`advance`]) and read the decoder's weights once for all.

mod beam;
mod independent;
mod rules;
mod scores;
mod walk;

use crate::Result;

pub use percept_kernels::{largest, log_sum_exp};
pub use rules::{
    ForceAtEnd, ForceAtStart, MinLength, NoRepeat, RepetitionPenalty, Rule, Suppress, SuppressAtStart,
};
pub use scores::softmax;
pub use walk::{Walk, advance};

/// Something that scores the next token.
pub trait Decoder: Sync {
    /// What a running decode knows: caches of keys and values.
    type State: Send;

    /// Feeds one token to each row of each decode, of which there is at least one, and puts the scores of the next into
    /// `scores`: `[rows of all, vocabulary]`, row-major, unnormalised. Each decode gets the bits that it would get alone.
    fn step(&self, feeds: &mut [Feed<'_, Self::State>], scores: &mut Vec<f32>) -> Result<()>;

    /// Keeps the rows that `rows` names, in that order; a row may be named twice.
    fn select(&self, state: &mut Self::State, rows: &[usize]) -> Result<()>;
}

/// What a step feeds to one of several decodes.
pub struct Feed<'a, S> {
    /// A token for each of its rows.
    pub tokens: &'a [u32],
    /// What it knows.
    pub state: &'a mut S,
}

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Strategy {
    /// The most probable token at every step.
    Greedy,
    /// Beam search as Hugging Face transformers does it: scores are sums of log-probabilities over length
    /// to the power of `length_penalty`.
    Beam {
        /// Sequences that are kept.
        beams: usize,
        /// Exponent of the length.
        length_penalty: f32,
        /// When it ends.
        stopping: Stopping,
    },
    /// Tokens drawn at a temperature.
    Sample {
        /// Divides the scores; above 0.
        temperature: f32,
        /// Only the best so many tokens; all when absent.
        top_k: Option<usize>,
        /// Only the fewest tokens whose probabilities, at this temperature and of those that `top_k` leaves, sum to
        /// this (Holtzman et al. 2020, arXiv 1904.09751); all when absent.
        top_p: Option<f32>,
        /// Sequences that are drawn.
        candidates: usize,
        /// Of the random numbers.
        seed: u64,
    },
}

/// When a beam search ends; transformers' `early_stopping`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stopping {
    /// When the best beam that goes on is, at its present length, worth no more than the worst that ended (`False`).
    #[default]
    Likely,
    /// When as many beams as are kept have ended (`True`).
    Early,
    /// When no beam that goes on can be worth more, however long it gets (`"never"`).
    Surely,
    /// As `BeamSearchScorer` of transformers 4 ends under open_clip's `generate`, which also adds up scores as they are,
    /// not as log-probabilities, and counts so many tokens before the text into its length. Beams that still go on at the
    /// end compete with those that ended.
    Classic(usize),
}

/// What a search needs to know beside the decoder.
pub struct Search<'a> {
    /// How to search.
    pub strategy: Strategy,
    /// Applied in order to the scores of every step.
    pub rules: Vec<&'a dyn Rule>,
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
    search: Search<'_>,
) -> Result<Vec<Hypothesis>> {
    let mut walk = Walk::begin(decoder, state, first, search)?;
    walk.run(decoder)?;
    Ok(walk.finish())
}
