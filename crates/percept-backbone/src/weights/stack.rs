//! Matrices of one input that are multiplied as one.

use half::f16;

use super::entry::{Entry, Stored};
use super::{Weights, WeightsError};

/// The rows of several matrices `[rows, depth]`, one behind the other.
pub(crate) struct Stack {
    parts: Vec<Entry>,
    rows: usize,
    depth: usize,
}

impl Stack {
    /// The tensors `weight` below each of `parts`, each `[rows, depth]`.
    pub(crate) fn of(parts: &[Weights], rows: usize, depth: usize) -> Result<Self, WeightsError> {
        let parts =
            parts.iter().map(|part| part.entry("weight", &[rows, depth])).collect::<Result<_, _>>()?;
        Ok(Self { parts, rows, depth })
    }

    /// The rows of a table.
    pub(crate) fn of_table(table: &super::Table) -> Self {
        let entry = table.0.clone();
        Self { rows: entry.shape[0], depth: table.width(), parts: vec![entry] }
    }

    /// Rows of all matrices together.
    pub(crate) fn rows(&self) -> usize {
        self.rows * self.parts.len()
    }

    /// Numbers of a row.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The number format of all matrices, where they have one in common.
    pub(crate) fn stored(&self) -> Option<Stored> {
        let stored = self.parts.first()?.stored;
        self.parts.iter().all(|part| part.stored == stored).then_some(stored)
    }

    /// Whole rows as f32, from row `first` on.
    pub(crate) fn read_floats(&self, first: usize, values: &mut [f32]) -> Result<(), WeightsError> {
        self.by_part(first, values, Entry::read_floats)
    }

    /// Whole rows of halves, where they are [`Stored::F16`].
    pub(crate) fn read_halves(&self, first: usize, values: &mut [f16]) -> Result<(), WeightsError> {
        self.by_part(first, values, Entry::read_halves)
    }

    /// Whole rows of codes, where they are [`Stored::Int8`].
    pub(crate) fn read_codes(&self, first: usize, codes: &mut [i8]) -> Result<(), WeightsError> {
        self.by_part(first, codes, Entry::read_codes)
    }

    /// What the codes of each row are multiplied with.
    pub(crate) fn factors(&self) -> Result<Vec<f32>, WeightsError> {
        let mut factors = Vec::with_capacity(self.rows());
        for part in &self.parts {
            factors.extend(part.scales(0, self.rows)?.into_iter().map(|scale| 1.0 / scale));
        }
        Ok(factors)
    }

    /// Reads rows that may lie in several parts.
    fn by_part<T>(
        &self,
        first: usize,
        values: &mut [T],
        read: impl Fn(&Entry, usize, &mut [T]) -> Result<(), WeightsError>,
    ) -> Result<(), WeightsError> {
        let (mut row, mut rest) = (first, values);
        while !rest.is_empty() {
            let (part, inside) = (row / self.rows, row % self.rows);
            let count = (self.rows - inside).min(rest.len() / self.depth);
            let (now, later) = rest.split_at_mut(count * self.depth);
            read(&self.parts[part], inside, now)?;
            row += count;
            rest = later;
        }
        Ok(())
    }
}
