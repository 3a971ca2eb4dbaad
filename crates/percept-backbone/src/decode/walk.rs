//! A search as a value that is fed scores: it can stop after every token, and several go in step.

use rayon::prelude::*;

use super::beam::Beams;
use super::independent::{Drawing, Rows};
use super::{Decoder, Feed, Hypothesis, Search, Strategy};
use crate::Result;

/// What a search wants next.
pub(super) enum Turn {
    /// Nothing: it has found what it finds.
    End,
    /// The scores behind these tokens, one a row.
    Go {
        /// The rows to keep first, where they are not all as they stand.
        kept: Option<Vec<usize>>,
        tokens: Vec<u32>,
    },
}

enum Course {
    Beams(Beams),
    Rows(Rows),
}

impl Course {
    fn take(&mut self, logits: &mut [f32], search: &Search<'_>) -> Turn {
        match self {
            Self::Beams(beams) => beams.take(logits, search),
            Self::Rows(rows) => rows.take(logits, search),
        }
    }
}

/// A search under way.
pub struct Walk<'a, D: Decoder> {
    state: D::State,
    search: Search<'a>,
    course: Course,
    /// The tokens to feed next, one a row; none when the search has ended.
    tokens: Vec<u32>,
}

impl<'a, D: Decoder> Walk<'a, D> {
    /// Begins a search from a state of one row, whose next scores are `first`.
    pub fn begin(decoder: &D, mut state: D::State, mut first: Vec<f32>, search: Search<'a>) -> Result<Self> {
        let course = match search.strategy {
            Strategy::Greedy => Course::Rows(Rows::new(None)),
            Strategy::Sample { temperature, top_k, top_p, candidates, seed } => {
                let candidates = candidates.max(1);
                let rows = Rows::new(Some(Drawing { temperature, top_k, top_p, candidates, seed }));
                if rows.count() > 1 {
                    decoder.select(&mut state, &vec![0; rows.count()])?;
                    first = first.repeat(rows.count());
                }
                Course::Rows(rows)
            }
            Strategy::Beam { beams, length_penalty, stopping } => {
                Course::Beams(Beams::new(beams.max(1), length_penalty, stopping))
            }
        };
        let mut walk = Self { state, search, course, tokens: Vec::new() };
        walk.take(decoder, &mut first)?;
        Ok(walk)
    }

    /// Whether the search has found what it finds.
    pub fn ended(&self) -> bool {
        self.tokens.is_empty()
    }

    /// How many rows the next step feeds; 0 when the search has ended.
    pub fn rows(&self) -> usize {
        self.tokens.len()
    }

    /// Takes it to its end, alone.
    pub fn run(&mut self, decoder: &D) -> Result<()> {
        let mut scores = Vec::new();
        while !self.ended() {
            advance(decoder, &mut [self], &mut scores)?;
        }
        Ok(())
    }

    /// What was found, best hypothesis first; there is at least one when the search has ended.
    pub fn finish(self) -> Vec<Hypothesis> {
        match self.course {
            Course::Beams(beams) => beams.finish(),
            Course::Rows(rows) => rows.finish(),
        }
    }

    fn take(&mut self, decoder: &D, logits: &mut [f32]) -> Result<()> {
        self.tokens = match self.course.take(logits, &self.search) {
            Turn::End => Vec::new(),
            Turn::Go { kept, tokens } => {
                if let Some(kept) = kept {
                    decoder.select(&mut self.state, &kept)?;
                }
                tokens
            }
        };
        Ok(())
    }
}

/// Takes searches one token further, all in one step of the decoder. There is at least one, and none has ended. `scores`
/// is a buffer: large vocabularies for many rows are megabytes, and new memory for each token costs more than the token.
pub fn advance<D: Decoder>(decoder: &D, walks: &mut [&mut Walk<'_, D>], scores: &mut Vec<f32>) -> Result<()> {
    let feeds = walks.iter_mut().map(|walk| Feed { tokens: &walk.tokens, state: &mut walk.state });
    decoder.step(&mut feeds.collect::<Vec<_>>(), scores)?;
    let rows = walks.iter().map(|walk| walk.rows()).sum::<usize>();
    let vocabulary = scores.len() / rows.max(1);
    let mut rest = scores.as_mut_slice();
    let parts = walks.iter_mut().map(|walk| {
        let (part, behind) = std::mem::take(&mut rest).split_at_mut(walk.rows() * vocabulary);
        rest = behind;
        (walk, part)
    });
    // Choosing tokens of a large vocabulary takes as long as a layer.
    parts.collect::<Vec<_>>().into_par_iter().try_for_each(|(walk, scores)| walk.take(decoder, scores))
}
