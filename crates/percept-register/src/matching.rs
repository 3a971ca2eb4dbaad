//! Which features take each other for the most similar.

use nalgebra::{DMatrix, DMatrixView};
use rayon::prelude::*;

use crate::feature::{Feature, LENGTH};

/// Features of the source that are compared at once: a block of products stays in the cache.
const BLOCK: usize = 128;

/// Pairs of indices (source, target) whose features are each other's nearest, in the order of the source. Ties go to the
/// first.
pub(crate) fn mutual(source: &[Feature], target: &[Feature]) -> Vec<(usize, usize)> {
    if source.is_empty() || target.is_empty() {
        return Vec::new();
    }
    let (source, target) = (centered(source), centered(target));
    let half =
        |matrix: &DMatrix<f32>| matrix.column_iter().map(|c| c.norm_squared() / 2.0).collect::<Vec<f32>>();
    let (source_half, target_half) = (half(&source), half(&target));
    // Rows, not columns: a product of two matrices as they lie is a fast one, that with a transposed one is not.
    let target_rows = target.transpose();
    // The nearest of one is the largest `a b - |b|^2 / 2`. Blocks answer for their rows and make an offer for columns.
    let block = |first: usize| {
        let count = BLOCK.min(source.ncols() - first);
        let rows: DMatrixView<'_, f32> = source.columns(first, count);
        let products = &target_rows * rows;
        let mut nearest = Vec::with_capacity(count);
        let mut offers = vec![(f32::NEG_INFINITY, 0_u32); target.ncols()];
        for (row, products) in products.column_iter().enumerate() {
            let mut best = (f32::NEG_INFINITY, 0_u32);
            let own = source_half[first + row];
            for (at, (product, offer)) in products.iter().zip(&mut offers).enumerate() {
                let forth = product - target_half[at];
                if forth > best.0 {
                    best = (forth, at as u32);
                }
                let back = product - own;
                if back > offer.0 {
                    *offer = (back, (first + row) as u32);
                }
            }
            nearest.push(best.1);
        }
        (nearest, offers)
    };
    let starts: Vec<usize> = (0..source.ncols()).step_by(BLOCK).collect();
    let blocks: Vec<_> = starts.into_par_iter().map(block).collect();
    let mut forth = Vec::with_capacity(source.ncols());
    let mut back = vec![(f32::NEG_INFINITY, 0_u32); target.ncols()];
    for (nearest, offers) in blocks {
        forth.extend(nearest);
        for (best, offer) in back.iter_mut().zip(offers) {
            if offer.0 > best.0 {
                *best = offer;
            }
        }
    }
    let matches = forth.into_iter().enumerate().map(|(at, nearest)| (at, nearest as usize));
    matches.filter(|(at, nearest)| back[*nearest].1 as usize == *at).collect()
}

/// A column a feature, about the middle of their range: products of large numbers would drown small differences.
pub(crate) fn centered(features: &[Feature]) -> DMatrix<f32> {
    let middle = 200.0 / (LENGTH / 3) as f32;
    DMatrix::from_fn(LENGTH, features.len(), |row, column| features[column][row] - middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_each_other_is_a_pair() {
        let feature = |value: f32| {
            let mut feature = [0.0; LENGTH];
            feature[3] = value;
            feature[20] = 100.0 - value;
            feature
        };
        let source: Vec<Feature> = [10.0, 11.0, 50.0, 90.0].map(feature).into();
        let target: Vec<Feature> = [89.0, 10.4, 49.0].map(feature).into();
        assert_eq!(mutual(&source, &target), [(0, 1), (2, 2), (3, 0)]);
        assert!(mutual(&source, &[]).is_empty());
        // More than a block.
        let many: Vec<Feature> = (0..300).map(|at| feature(at as f32 / 3.0)).collect();
        assert_eq!(mutual(&many, &many), (0..300).map(|at| (at, at)).collect::<Vec<_>>());
    }
}
