//! The points that belong to each superpoint (`point_to_node_partition`).

use rayon::prelude::*;

use super::pyramid::place;
use crate::tree::Tree;

/// For each superpoint the points that have no nearer one, nearest first and no more than `limit`. Some may have none.
pub(super) fn partition(points: &[[f32; 3]], superpoints: &[[f32; 3]], limit: usize) -> Vec<Vec<u32>> {
    let tree = Tree::new(&superpoints.iter().map(place).collect::<Vec<_>>());
    let found: Vec<_> = points.par_iter().map(|point| tree.nearest(&place(point), f32::INFINITY)).collect();
    let mut patches = vec![Vec::new(); superpoints.len()];
    for (at, found) in found.iter().enumerate() {
        if let Some(found) = found {
            patches[found.index as usize].push((found.squared, at as u32));
        }
    }
    let nearest = |mut patch: Vec<(f32, u32)>| {
        patch.sort_unstable_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
        patch.truncate(limit);
        patch.into_iter().map(|(_, at)| at).collect()
    };
    patches.into_par_iter().map(nearest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_point_belongs_to_the_nearest_and_a_superpoint_may_have_none() {
        let points = [[0.3, 0.0, 0.0], [0.1, 0.0, 0.0], [5.0, 0.0, 0.0], [0.2, 0.0, 0.0]];
        let superpoints = [[0.0; 3], [9.0, 0.0, 0.0], [4.0, 0.0, 0.0]];
        let patches = partition(&points, &superpoints, 2);
        assert_eq!(patches, [vec![1, 3], vec![], vec![2]]);
    }
}
