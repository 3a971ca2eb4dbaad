//! What a network says of its queries.

use percept_backbone::decode::softmax;
use percept_backbone::{Result, Tensor};

/// The raw outputs for a batch of pictures.
#[derive(Clone, Debug)]
pub(crate) struct Outputs {
    /// Mask logits, `[batch, queries, rows, columns]`.
    pub(crate) masks: Tensor,
    /// Class logits, `[batch, queries, classes + 1]`; the last class is no object.
    pub(crate) classes: Tensor,
}

impl Outputs {
    /// Those of one picture.
    pub(crate) fn of(&self, index: usize) -> Result<Queries> {
        let (_, count, rows, columns) = self.masks.dims4()?;
        let classes = self.classes.get(index)?.to_vec2::<f32>()?;
        Ok(Queries {
            count,
            size: [rows, columns],
            masks: self.masks.get(index)?.flatten_all()?.to_vec1()?,
            probabilities: classes.iter().map(|logits| softmax(logits)).collect(),
        })
    }
}

/// The queries of one picture.
#[derive(Clone, Debug)]
pub(crate) struct Queries {
    pub(crate) count: usize,
    /// Rows and columns of a mask.
    pub(crate) size: [usize; 2],
    /// Logits, query by query, row by row.
    masks: Vec<f32>,
    /// Of each query, for each class; the last is no object.
    probabilities: Vec<Vec<f32>>,
}

impl Queries {
    /// The mask logits of a query, row by row.
    pub(crate) fn mask(&self, query: usize) -> &[f32] {
        let pixels = self.size[0] * self.size[1];
        &self.masks[query * pixels..][..pixels]
    }

    /// How many classes there are.
    pub(crate) fn classes(&self) -> usize {
        self.probabilities.first().map_or(0, |all| all.len() - 1)
    }

    /// The probability of each class for a query, without that of no object.
    pub(crate) fn probabilities(&self, query: usize) -> &[f32] {
        &self.probabilities[query][..self.classes()]
    }

    /// The likeliest class of a query, the first of equals, and its probability; `None` where no object is likelier.
    pub(crate) fn object(&self, query: usize) -> Option<(usize, f32)> {
        let best = first_largest(&self.probabilities[query])?;
        (best.0 < self.classes()).then_some(best)
    }

    /// The likeliest class of a query when it is an object, and its probability.
    pub(crate) fn class(&self, query: usize) -> Option<(usize, f32)> {
        first_largest(self.probabilities(query))
    }
}

/// The largest number and its index, the first of equals.
fn first_largest(values: &[f32]) -> Option<(usize, f32)> {
    let larger = |best: (usize, f32), next: (usize, f32)| if next.1 > best.1 { next } else { best };
    values.iter().copied().enumerate().reduce(larger)
}
