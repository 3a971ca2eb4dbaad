//! The fewest edits between two sequences, by kind.

use serde::Serialize;

/// Edits that make the truth the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Edits {
    /// Words or characters of the truth.
    pub truth: usize,
    /// That are the same in both.
    pub hits: usize,
    /// That are others.
    pub substitutions: usize,
    /// That the result has and the truth has not.
    pub insertions: usize,
    /// That the truth has and the result has not.
    pub deletions: usize,
}

/// Fewest edits of two beginnings.
#[derive(Clone, Copy, Default)]
struct Cell {
    cost: u32,
    substitutions: u32,
    insertions: u32,
}

impl Edits {
    /// The edits of Levenshtein's distance. Where several alignments have as few, the one that rapidfuzz (and so jiwer)
    /// finds from the full table: from the end, a deletion before an insertion before a substitution or a hit.
    ///
    /// Time is the product of the lengths, space the length of the truth: a cell has the counts of the alignment that leads
    /// to it, as each cell's way back is its own.
    pub fn between<T: PartialEq>(truth: &[T], result: &[T]) -> Self {
        let same = truth.iter().zip(result).take_while(|(a, b)| a == b).count();
        let (said, heard) = (&truth[same..], &result[same..]);
        let ends = said.iter().rev().zip(heard.iter().rev()).take_while(|(a, b)| a == b).count();
        let (said, heard) = (&said[..said.len() - ends], &heard[..heard.len() - ends]);
        let mut row: Vec<Cell> =
            (0..=said.len()).map(|at| Cell { cost: at as u32, ..Cell::default() }).collect();
        for (line, word) in heard.iter().enumerate() {
            let mut corner = row[0];
            let first = line as u32 + 1;
            row[0] = Cell { cost: first, substitutions: 0, insertions: first };
            for at in 1..row.len() {
                let (above, left) = (row[at], row[at - 1]);
                let hit = said[at - 1] == *word;
                let cost = (left.cost + 1).min(above.cost + 1).min(corner.cost + u32::from(!hit));
                row[at] = if cost == left.cost + 1 {
                    Cell { cost, ..left }
                } else if line > 0 && above.cost + 1 == corner.cost {
                    Cell { cost, insertions: above.insertions + 1, ..above }
                } else {
                    Cell { cost, substitutions: corner.substitutions + u32::from(!hit), ..corner }
                };
                corner = above;
            }
        }
        let last = row.last().copied().unwrap_or_default();
        let (substitutions, insertions) = (last.substitutions as usize, last.insertions as usize);
        let deletions = last.cost as usize - substitutions - insertions;
        let hits = truth.len() - substitutions - deletions;
        Self { truth: truth.len(), hits, substitutions, insertions, deletions }
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.truth += other.truth;
        self.hits += other.hits;
        self.substitutions += other.substitutions;
        self.insertions += other.insertions;
        self.deletions += other.deletions;
    }

    /// Edits a word of the truth; `None` where the truth has none, and the result has some: any rate would do.
    pub fn rate(&self) -> Option<f64> {
        let edits = self.substitutions + self.insertions + self.deletions;
        if self.truth == 0 {
            return (edits == 0).then_some(0.0);
        }
        Some(edits as f64 / self.truth as f64)
    }
}
