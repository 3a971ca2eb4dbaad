//! Rigid motions with one scale, as the solvers turn them.

use nalgebra::{Matrix3, Rotation3, Vector3};
use percept_core::register::Transform;

/// `x` to `scale * rotation * x + translation`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Motion {
    pub(crate) rotation: Matrix3<f64>,
    pub(crate) translation: Vector3<f64>,
    pub(crate) scale: f64,
}

impl Motion {
    pub(crate) fn apply(&self, point: &Vector3<f64>) -> Vector3<f64> {
        self.scale * (self.rotation * point) + self.translation
    }

    /// A small turn [rad], shift and growth about `center`, after this motion.
    pub(crate) fn stepped(&self, step: &Step, center: &Vector3<f64>) -> Self {
        let turn = Rotation3::new(step.turn).into_inner();
        let rotation = renormalized(turn * self.rotation);
        let growth = step.growth.exp();
        let translation = growth * (turn * (self.translation - center)) + center + step.shift;
        Self { rotation, translation, scale: self.scale * growth }
    }

    pub(crate) fn inverse(&self) -> Self {
        let rotation = self.rotation.transpose();
        let scale = 1.0 / self.scale;
        Self { rotation, translation: -(scale * (rotation * self.translation)), scale }
    }

    /// The same motion where lengths of the source are counted in one unit and those of the target in another.
    pub(crate) fn in_units(&self, source: f64, target: f64) -> Self {
        Self { translation: self.translation / target, scale: self.scale * source / target, ..*self }
    }

    /// The other way round.
    pub(crate) fn out_of_units(&self, source: f64, target: f64) -> Self {
        Self { translation: self.translation * target, scale: self.scale * target / source, ..*self }
    }

    /// By what angle two motions differ [rad].
    pub(crate) fn angle_to(&self, other: &Self) -> f64 {
        Rotation3::from_matrix_unchecked(other.rotation * self.rotation.transpose()).angle()
    }
}

/// A small change of a motion.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Step {
    pub(crate) turn: Vector3<f64>,
    pub(crate) shift: Vector3<f64>,
    /// Logarithm of the change of scale.
    pub(crate) growth: f64,
}

/// A product of many rotations drifts off; one step of Newton's iteration for the polar factor brings it back.
fn renormalized(rotation: Matrix3<f64>) -> Matrix3<f64> {
    rotation * (Matrix3::identity() * 3.0 - rotation.transpose() * rotation) / 2.0
}

impl From<&Transform> for Motion {
    fn from(transform: &Transform) -> Self {
        Self {
            rotation: Matrix3::from_fn(|row, column| transform.rotation[row][column]),
            translation: transform.translation.into(),
            scale: transform.scale,
        }
    }
}

impl From<&Motion> for Transform {
    fn from(motion: &Motion) -> Self {
        Self {
            rotation: std::array::from_fn(|row| std::array::from_fn(|column| motion.rotation[(row, column)])),
            translation: motion.translation.into(),
            scale: motion.scale,
        }
    }
}

/// The motion that brings pairs together best, by least squares of weighted distances (Kabsch 1976, Umeyama 1991). None
/// where fewer than three pairs weigh anything, or all of them lie on a line.
pub(crate) fn fit(
    source: &[Vector3<f64>],
    target: &[Vector3<f64>],
    weights: &[f64],
    scaled: Scaled,
) -> Option<Motion> {
    let total: f64 = weights.iter().sum();
    if total <= 0.0 || weights.iter().filter(|weight| **weight > 0.0).count() < 3 {
        return None;
    }
    let mean = |points: &[Vector3<f64>]| {
        points.iter().zip(weights).map(|(point, weight)| point * *weight).sum::<Vector3<f64>>() / total
    };
    let (from, to) = (mean(source), mean(target));
    let mut cross = Matrix3::zeros();
    let mut spread = 0.0;
    for ((source, target), weight) in source.iter().zip(target).zip(weights) {
        let centered = source - from;
        cross += (target - to) * (centered * *weight).transpose();
        spread += weight * centered.norm_squared();
    }
    let svd = cross.svd(true, true);
    let (u, v_t) = (svd.u?, svd.v_t?);
    let singular = svd.singular_values;
    let mut by_size = [0, 1, 2];
    by_size.sort_by(|left, right| singular[*right].total_cmp(&singular[*left]));
    if singular[by_size[1]] <= 1e-9 * singular[by_size[0]] || singular[by_size[0]] <= 0.0 {
        return None;
    }
    // A mirror image is never the answer: the direction that matters least is turned round.
    let sign = (u.determinant() * v_t.determinant()).signum();
    let mut signs = Vector3::repeat(1.0);
    signs[by_size[2]] = sign;
    let rotation = u * Matrix3::from_diagonal(&signs) * v_t;
    let scale = match scaled {
        Scaled::No => 1.0,
        Scaled::Yes => singular.dot(&signs) / spread,
    };
    if !(scale > 0.0 && scale.is_finite()) {
        return None;
    }
    Some(Motion { rotation, translation: to - scale * (rotation * from), scale })
}

/// Whether a scale is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scaled {
    No,
    Yes,
}

impl Scaled {
    /// The units that two clouds are looked at with: of two of different density the sparser one says how well places are
    /// known, unless one may be larger than the other.
    pub(crate) fn units(self, source: f64, target: f64) -> [f64; 2] {
        match self {
            Self::No => [source.max(target); 2],
            Self::Yes => [source, target],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Motion {
        Motion {
            rotation: Rotation3::new(Vector3::new(0.3, -1.2, 2.0)).into_inner(),
            translation: Vector3::new(5.0, -7.0, 9.0),
            scale: 1.7,
        }
    }

    #[test]
    fn pairs_give_their_motion_back_and_weights_of_zero_nothing() {
        let source: Vec<_> =
            (0..9).map(|at| Vector3::new(f64::from(at), f64::from(at * at % 5), f64::from(at % 3))).collect();
        let mut target: Vec<_> = source.iter().map(|point| some().apply(point)).collect();
        target[4] = Vector3::new(1e3, 0.0, 0.0);
        let mut weights = [1.0; 9];
        weights[4] = 0.0;
        let found = fit(&source, &target, &weights, Scaled::Yes).unwrap();
        assert!((found.rotation - some().rotation).norm() < 1e-12);
        assert!((found.translation - some().translation).norm() < 1e-11);
        assert!((found.scale - 1.7).abs() < 1e-12);
        let line: Vec<_> = (0..9).map(|at| Vector3::repeat(f64::from(at))).collect();
        assert_eq!(fit(&line, &line, &weights, Scaled::No), None);
    }

    #[test]
    fn steps_and_inverses_fit_together() {
        let step =
            Step { turn: Vector3::new(0.1, 0.2, -0.3), shift: Vector3::new(1.0, 2.0, 3.0), growth: 0.1 };
        let center = Vector3::new(4.0, 5.0, 6.0);
        let point = Vector3::new(1.0, 1.0, 1.0);
        let turn = Rotation3::new(step.turn);
        let want = 0.1_f64.exp() * (turn * (some().apply(&point) - center)) + center + step.shift;
        assert!((some().stepped(&step, &center).apply(&point) - want).norm() < 1e-12);
        let back = some().inverse().apply(&some().apply(&point));
        assert!((back - point).norm() < 1e-12);
    }
}
