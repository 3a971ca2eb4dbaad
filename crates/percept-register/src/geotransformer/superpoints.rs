//! Which superpoints of two clouds are the same place (`SuperPointMatching`).

use percept_backbone::{Result, Tensor, products};
use percept_core::Precision;
use rayon::prelude::*;

/// A superpoint of the target, one of the source, and how well they go together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) target: u32,
    pub(super) source: u32,
    pub(super) score: f32,
}

/// The best pairs, best first: `most` of them, of superpoints that have points (`has`). Features are `[points, channels]`
/// of length 1, the target's first. With `dual` a score is its share of its row times its share of its column.
pub(super) fn best_pairs(
    features: [&Tensor; 2],
    has: [&[bool]; 2],
    most: usize,
    dual: bool,
) -> Result<Vec<Pair>> {
    let products = products(&features[0].unsqueeze(0)?, &features[1].unsqueeze(0)?, Precision::F32)?;
    let (_, rows, columns) = products.dims3()?;
    let mut scores = products.flatten_all()?.to_vec1::<f32>()?;
    for (row, has_row) in scores.chunks_exact_mut(columns.max(1)).zip(has[0]) {
        for (score, has_column) in row.iter_mut().zip(has[1]) {
            // What has no points scores nothing, and so changes no sum.
            let distance = (2.0 - 2.0 * *score).max(0.0);
            *score = if *has_row && *has_column { (-distance).exp() } else { 0.0 };
        }
    }
    if dual {
        let mut of_columns = vec![0.0_f64; columns];
        for row in scores.chunks_exact(columns.max(1)) {
            of_columns.iter_mut().zip(row).for_each(|(sum, score)| *sum += f64::from(*score));
        }
        for row in scores.chunks_exact_mut(columns.max(1)) {
            let of_row: f64 = row.iter().map(|score| f64::from(*score)).sum();
            for (score, of_column) in row.iter_mut().zip(&of_columns) {
                let own = f64::from(*score);
                *score = if own > 0.0 { ((own / of_row) * (own / of_column)) as f32 } else { 0.0 };
            }
        }
    }
    let mut order: Vec<u32> = (0..(rows * columns) as u32).filter(|at| scores[*at as usize] > 0.0).collect();
    let by = |left: &u32, right: &u32| {
        scores[*right as usize].total_cmp(&scores[*left as usize]).then(left.cmp(right))
    };
    if order.len() > most && most > 0 {
        order.select_nth_unstable_by(most - 1, by);
        order.truncate(most);
    }
    order.par_sort_unstable_by(by);
    let pair = |at: u32| {
        let (row, column) = (at as usize / columns, at as usize % columns);
        Pair { target: row as u32, source: column as u32, score: scores[at as usize] }
    };
    Ok(order.into_iter().map(pair).collect())
}
