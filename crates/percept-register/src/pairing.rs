//! Pairs of points: whom each point of the source is paired with, and how firmly a pair holds.

use nalgebra::{Matrix3, Vector3};
use percept_core::register::{Fine, Kernel};

use crate::cells::Cells;
use crate::motion::Motion;
use crate::sheet::Sheet;

/// Variance along the normal of a surface whose variance in its plane is 1 (Segal et al. 2009).
const ACROSS: f64 = 1e-3;
/// What a voxel's mean adds to the variance of its points: a few points of one plane tell none across it.
const CELL_ACROSS: f64 = 1e-3;
/// The share of geometry in the sum of squares with colours (Park et al. 2017).
const GEOMETRY: f64 = 0.968;

/// What the source is paired with.
pub(crate) enum Onto<'a> {
    /// Points of the target and their surface.
    Points(&'a Sheet),
    /// Voxels of the target.
    Cells(&'a Cells),
}

/// A pair as the solver sees it: the squared length `cost` at this motion, and how that changes with the place `x` of the
/// moved point: gradient `-pull`, curvature `hold`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) hold: Matrix3<f64>,
    pub(crate) pull: Vector3<f64>,
    pub(crate) cost: f64,
    /// What a kernel judges, as a length.
    pub(crate) length: f64,
}

/// How a pair is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    pub(crate) fine: Fine,
    pub(crate) kernel: Kernel,
}

impl Measure {
    /// The pair of a source's point with index `source`, now at `place`, and the target's with index `target`.
    pub(crate) fn pair(
        &self,
        sheet: &Sheet,
        onto: &Onto<'_>,
        (source, target): (usize, usize),
        place: &Vector3<f64>,
        motion: &Motion,
    ) -> Pair {
        match (onto, self.fine) {
            (Onto::Cells(cells), _) => {
                let turned = motion.rotation * sheet.normals[source];
                let covariance = cells.covariance(target) + surface(&turned, CELL_ACROSS);
                quadratic(&inverse(&covariance), cells.mean(target) - place, 2.0 * ACROSS)
            }
            (Onto::Points(onto), Fine::Gicp | Fine::Vgicp) => {
                let turned = motion.rotation * sheet.normals[source];
                let covariance = surface(&onto.normals[target], ACROSS) + surface(&turned, ACROSS);
                quadratic(&inverse(&covariance), onto.points[target] - place, 2.0 * ACROSS)
            }
            (Onto::Points(onto), Fine::Plane) => {
                let normal = onto.normals[target];
                quadratic(&(normal * normal.transpose()), onto.points[target] - place, 1.0)
            }
            (Onto::Points(onto), Fine::Point | Fine::None) => {
                quadratic(&Matrix3::identity(), onto.points[target] - place, 1.0)
            }
            (Onto::Points(onto), Fine::Color) => colored(sheet, onto, (source, target), place),
        }
    }

    /// The weight that the kernel leaves to a pair.
    pub(crate) fn weight(&self, length: f64) -> f64 {
        match self.kernel {
            Kernel::None => 1.0,
            Kernel::Huber(c) => {
                if length <= c {
                    1.0
                } else {
                    c / length
                }
            }
            Kernel::GemanMcClure(c) => (c * c / (c * c + length * length)).powi(2),
            Kernel::Tukey(c) => {
                if length < c {
                    (1.0 - (length / c).powi(2)).powi(2)
                } else {
                    0.0
                }
            }
        }
    }
}

/// Covariance of a point on a surface: 1 in the plane, `across` along the normal; 1 everywhere where there is no normal.
fn surface(normal: &Vector3<f64>, across: f64) -> Matrix3<f64> {
    Matrix3::identity() - normal * normal.transpose() * (1.0 - across)
}

/// `unit` makes a length of the square root of the cost.
fn quadratic(hold: &Matrix3<f64>, residual: Vector3<f64>, unit: f64) -> Pair {
    let pull = hold * residual;
    let cost = residual.dot(&pull);
    Pair { hold: *hold, pull, cost, length: (cost.max(0.0) * unit).sqrt() }
}

/// The inverse of a symmetric matrix that has one.
fn inverse(m: &Matrix3<f64>) -> Matrix3<f64> {
    let (a, b, c) = (m[(0, 0)], m[(0, 1)], m[(0, 2)]);
    let (d, e, f) = (m[(1, 1)], m[(1, 2)], m[(2, 2)]);
    let (i, j, k) = (d * f - e * e, c * e - b * f, b * e - c * d);
    let scale = 1.0 / (a * i + b * j + c * k);
    let (l, n, o) = (a * f - c * c, b * c - a * e, a * d - b * b);
    Matrix3::new(i, j, k, j, l, n, k, n, o) * scale
}

/// Distance to the plane, and the difference in colour at the foot on it.
fn colored(sheet: &Sheet, onto: &Sheet, (source, target): (usize, usize), place: &Vector3<f64>) -> Pair {
    let normal = onto.normals[target];
    let residual = onto.points[target] - place;
    let flat = quadratic(&(normal * normal.transpose()), residual, 1.0);
    let (Some(color), Some(onto_color)) = (&sheet.shade, &onto.shade) else { return flat };
    let slope = onto.slope[target];
    // The colour that the target has at the foot of the point, less the point's own. The slope lies in the plane.
    let off = onto_color[target] - slope.dot(&residual) - color[source];
    Pair {
        hold: flat.hold * GEOMETRY + slope * slope.transpose() * (1.0 - GEOMETRY),
        pull: flat.pull * GEOMETRY - slope * off * (1.0 - GEOMETRY),
        cost: flat.cost * GEOMETRY + off * off * (1.0 - GEOMETRY),
        length: flat.length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_is_one() {
        let m = surface(&Vector3::new(0.6, 0.0, 0.8), 1e-3) + surface(&Vector3::new(0.0, 1.0, 0.0), 1e-3);
        assert!((inverse(&m) * m - Matrix3::identity()).norm() < 1e-12);
    }

    #[test]
    fn kernels_begin_at_one_and_take_weight_away() {
        for kernel in [Kernel::Huber(0.5), Kernel::GemanMcClure(0.5), Kernel::Tukey(0.5)] {
            let measure = Measure { fine: Fine::Point, kernel };
            assert_eq!(measure.weight(0.0), 1.0);
            assert!(measure.weight(2.0) <= 0.25, "{kernel:?}");
        }
    }
}
