//! The surface at a point: its normal, from the neighbours.

use nalgebra::{Matrix3, Vector3};

use crate::tree::Tree;

/// Fewer neighbours than this, the point itself among them, tell no surface.
const LEAST_NEIGHBORS: usize = 5;

/// The normals of all points of `tree`, from their `k` nearest neighbours, themselves among them; of length 1, with a sign
/// of no meaning. Zero where there are too few, or all lie on a line.
pub(crate) fn normals(points: &[Vector3<f64>], tree: &Tree, k: usize) -> Vec<Vector3<f64>> {
    tree.neighbors_of_all(k, |index, neighbors| {
        let around = neighbors.iter().map(|neighbor| points[neighbor.index as usize]);
        normal(points[index], around, neighbors.len())
    })
}

fn normal(point: Vector3<f64>, around: impl Iterator<Item = Vector3<f64>>, count: usize) -> Vector3<f64> {
    if count < LEAST_NEIGHBORS {
        return Vector3::zeros();
    }
    smallest_direction(&covariance(point, around, count))
}

/// The share that the smallest eigenvalue of the neighbours' covariance has of all three: 0 on a plane, a third where
/// neighbours lie anywhere (Pauly et al. 2002). A third too where there are too few.
pub(crate) fn variations(points: &[Vector3<f64>], tree: &Tree, k: usize) -> Vec<f64> {
    tree.neighbors_of_all(k, |index, neighbors| {
        if neighbors.len() < LEAST_NEIGHBORS {
            return 1.0 / 3.0;
        }
        let around = neighbors.iter().map(|neighbor| points[neighbor.index as usize]);
        let covariance = covariance(points[index], around, neighbors.len());
        let trace = covariance.trace();
        if trace > 0.0 { (covariance.symmetric_eigenvalues().min() / trace).max(0.0) } else { 0.0 }
    })
}

/// The covariance of `count` points, times their number.
fn covariance(point: Vector3<f64>, around: impl Iterator<Item = Vector3<f64>>, count: usize) -> Matrix3<f64> {
    // About the point itself: about zero, products of large numbers would cancel.
    let mut sum = Vector3::zeros();
    let mut squares = [0.0; 6];
    for neighbor in around {
        let d = neighbor - point;
        sum += d;
        for (square, product) in
            squares.iter_mut().zip([d.x * d.x, d.x * d.y, d.x * d.z, d.y * d.y, d.y * d.z, d.z * d.z])
        {
            *square += product;
        }
    }
    let mean = sum / count as f64;
    let [xx, xy, xz, yy, yz, zz] = squares;
    Matrix3::new(
        xx - mean.x * sum.x,
        xy - mean.x * sum.y,
        xz - mean.x * sum.z,
        xy - mean.x * sum.y,
        yy - mean.y * sum.y,
        yz - mean.y * sum.z,
        xz - mean.x * sum.z,
        yz - mean.y * sum.z,
        zz - mean.z * sum.z,
    )
}

/// The eigenvector of the smallest eigenvalue of a symmetric matrix, of length 1; zero where the two smallest are as good
/// as equal beside the largest.
///
/// Eigenvalues by the trigonometric formula (Smith 1961), the vector as the longest product of two rows of `m - value`.
pub(crate) fn smallest_direction(m: &Matrix3<f64>) -> Vector3<f64> {
    let largest = m.amax();
    if largest == 0.0 {
        return Vector3::zeros();
    }
    let m = m / largest;
    let off = m[(0, 1)].powi(2) + m[(0, 2)].powi(2) + m[(1, 2)].powi(2);
    let mean = m.trace() / 3.0;
    let diagonal = m.diagonal().map(|value| value - mean);
    let spread = ((diagonal.norm_squared() + 2.0 * off) / 6.0).sqrt();
    if spread <= 1e-14 {
        return Vector3::zeros();
    }
    let shifted = (m - Matrix3::identity() * mean) / spread;
    let angle = (shifted.determinant() / 2.0).clamp(-1.0, 1.0).acos() / 3.0;
    let smallest = mean + 2.0 * spread * (angle + 2.0 * std::f64::consts::FRAC_PI_3).cos();
    let rest = m - Matrix3::identity() * smallest;
    let (a, b, c) = (rest.row(0).transpose(), rest.row(1).transpose(), rest.row(2).transpose());
    let products = [a.cross(&b), a.cross(&c), b.cross(&c)];
    let best = products.iter().fold(Vector3::zeros(), |best: Vector3<f64>, product| {
        if product.norm_squared() > best.norm_squared() { *product } else { best }
    });
    let length = best.norm();
    if length > 1e-10 { best / length } else { Vector3::zeros() }
}

/// Whether all points lie within a millionth of `diagonal` of a line through the first of them.
pub(crate) fn on_a_line(points: &[[f64; 3]], diagonal: f64) -> bool {
    let first = Vector3::from(points[0]);
    let along = |point: &[f64; 3]| Vector3::from(*point) - first;
    // The first point that is far enough from the first one to give a direction.
    let Some(far) = points.iter().map(along).find(|d| d.norm() > 0.1 * diagonal) else { return true };
    let axis = far.normalize();
    points.iter().all(|point| along(point).cross(&axis).norm() <= 1e-6 * diagonal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_direction_is_that_of_the_general_method() {
        for seed in 0..200_u32 {
            let entry = |at: u32| f64::from((seed * 7919 + at * 104_729 + at * at * 31) % 1000) / 500.0 - 1.0;
            let half = Matrix3::from_fn(|row, column| entry(row as u32 * 3 + column as u32 + 1));
            let m = half * half.transpose();
            let eigen = m.symmetric_eigen();
            let at = eigen.eigenvalues.imin();
            let found = smallest_direction(&m);
            let aligned = found.dot(&eigen.eigenvectors.column(at)).abs();
            assert!(aligned > 1.0 - 1e-9 || eigen.eigenvalues.max() < 1e-9, "{seed}: {aligned} {m}");
        }
    }

    #[test]
    fn a_plane_has_its_normal_and_a_line_has_none() {
        let points: Vec<_> = (0..100)
            .map(|at| {
                let (x, y) = (f64::from(at % 10), f64::from(at / 10));
                Vector3::new(x, y, 1000.0 + 0.5 * x + 0.25 * y)
            })
            .collect();
        let want = Vector3::new(0.5, 0.25, -1.0).normalize();
        for normal in normals(&points, &Tree::new(&points), 10) {
            assert!(normal.dot(&want).abs() > 1.0 - 1e-12, "{normal}");
        }
        let line: Vec<_> = (0..50).map(|at| Vector3::new(f64::from(at), 2.0 * f64::from(at), 0.0)).collect();
        assert!(normals(&line, &Tree::new(&line), 10).iter().all(|normal| *normal == Vector3::zeros()));
    }
}
