//! How well two clouds meet, how firmly, and whether that is to be trusted.

use nalgebra::{Matrix6, SymmetricEigen, Vector3, Vector6};
use percept_core::register::{Fit, FreeDirection, Motion as Kind};

use crate::fine::{Sheets, middle_of};
use crate::motion::Motion;
use crate::sheet::Sheet;

/// Below this part of the hold of the best held direction, a direction is free. A corridor of 0.02 m noise holds 0.002 of
/// itself along its axis, by the noise of its normals; a street scene of KITTI 0.05.
const FREE: f64 = 5e-3;

/// What is known of a motion from the clouds.
pub(crate) struct Judged {
    pub(crate) fit: Fit,
    pub(crate) covariance: Option<[[f64; 6]; 6]>,
    pub(crate) free: Vec<FreeDirection>,
}

/// Judges `motion` by the clouds of the last level. `before` is where the files have the source; `offset` takes working
/// coordinates of the target to local ones.
pub(crate) fn judge(
    sheets: &Sheets,
    motion: &Motion,
    before: &Motion,
    inlier_distance: f64,
    offset: &Vector3<f64>,
) -> Judged {
    let overlap_distance = 2.0 * inlier_distance;
    let (source, target) = (&sheets.source, &sheets.target);
    let mut fit = Fit { inlier_distance, overlap_distance, asked: source.len(), ..Fit::default() };
    let limit = overlap_distance * overlap_distance;
    let center = middle_of(sheets, motion);
    let mut hold = Matrix6::zeros();
    let (mut squares, mut before_squares, mut plane_squares) = (0.0, 0.0, 0.0);
    let (mut overlapping, mut planes, mut reach) = (0, 0, 0.0);
    for point in &source.points {
        let place = motion.apply(point);
        let Some(found) = target.tree.nearest(&place, limit as f32) else { continue };
        overlapping += 1;
        let at = found.index as usize;
        let residual = target.points[at] - place;
        if residual.norm() > inlier_distance {
            continue;
        }
        fit.pairs += 1;
        squares += residual.norm_squared();
        before_squares += (target.points[at] - before.apply(point)).norm_squared();
        let normal = target.normals[at];
        if normal != Vector3::zeros() {
            planes += 1;
            plane_squares += residual.dot(&normal).powi(2);
            let arm = place - center;
            reach += arm.norm_squared();
            hold += held(&arm, &normal);
        }
    }
    let mean = |sum: f64, count: usize| if count > 0 { (sum / count as f64).sqrt() } else { 0.0 };
    let share = |part: usize, whole: usize| if whole > 0 { part as f64 / whole as f64 } else { 0.0 };
    fit.rmse_after = mean(squares, fit.pairs);
    fit.rmse_before = mean(before_squares, fit.pairs);
    fit.plane_rmse_after = mean(plane_squares, planes);
    fit.inlier_ratio = share(fit.pairs, fit.asked);
    fit.overlap_source = share(overlapping, source.len());
    fit.overlap_target = met(target, source, &motion.inverse(), overlap_distance / motion.scale);
    let (free, covariance) = if planes >= 6 {
        let variance = plane_squares / (planes - 5) as f64;
        firmness(&hold, (reach / planes as f64).sqrt(), variance, &(center + offset))
    } else {
        (Vec::new(), None)
    };
    Judged { fit, covariance, free }
}

/// The share of `points` that have one of `others` within `distance`.
pub(crate) fn met(points: &Sheet, others: &Sheet, motion: &Motion, distance: f64) -> f64 {
    let limit = (distance * distance) as f32;
    let met = points.points.iter().filter(|point| others.tree.nearest(&motion.apply(point), limit).is_some());
    met.count() as f64 / points.len().max(1) as f64
}

/// How much three turns and three shifts move a point along a normal, squared.
fn held(arm: &Vector3<f64>, normal: &Vector3<f64>) -> Matrix6<f64> {
    let turn = arm.cross(normal);
    let row = Vector6::new(turn.x, turn.y, turn.z, normal.x, normal.y, normal.z);
    row * row.transpose()
}

/// Turns made lengths by the reach of the points.
fn scaled(hold: &Matrix6<f64>, reach: f64) -> Matrix6<f64> {
    let unit = |at: usize| if at < 3 { 1.0 / reach } else { 1.0 };
    Matrix6::from_fn(|row, column| hold[(row, column)] * unit(row) * unit(column))
}

/// Directions that nothing holds, and the covariance where there are none.
///
/// `hold` is the sum of squares of how much each of three turns about the middle and three shifts moves points along the
/// normals (Gelfand et al. 2003, "Geometrically stable sampling"; Zhang et al. 2016). Turns are made lengths by the
/// `reach` of the points from the middle, so that all six can be compared.
fn firmness(
    hold: &Matrix6<f64>,
    reach: f64,
    variance: f64,
    center: &Vector3<f64>,
) -> (Vec<FreeDirection>, Option<[[f64; 6]; 6]>) {
    let reach = if reach > 0.0 { reach } else { 1.0 };
    let eigen = SymmetricEigen::new(scaled(hold, reach));
    let best = eigen.eigenvalues.max();
    let mut free = Vec::new();
    for (value, vector) in eigen.eigenvalues.iter().zip(eigen.eigenvectors.column_iter()) {
        let held = if best > 0.0 { (value / best).max(0.0) } else { 0.0 };
        if held < FREE {
            free.push(direction(
                &vector.fixed_rows::<3>(0).into_owned(),
                &vector.fixed_rows::<3>(3).into_owned(),
                reach,
                center,
                held,
            ));
        }
    }
    free.sort_by(|left: &FreeDirection, right| left.hold.total_cmp(&right.hold));
    let inverse = if free.is_empty() { hold.try_inverse() } else { None };
    let covariance = inverse.map(|inverse| {
        std::array::from_fn(|row| std::array::from_fn(|column| variance * inverse[(row, column)]))
    });
    (free, covariance)
}

/// A screw whose turn was made a length by `reach`.
fn direction(
    turn: &Vector3<f64>,
    shift: &Vector3<f64>,
    reach: f64,
    center: &Vector3<f64>,
    hold: f64,
) -> FreeDirection {
    if shift.norm() >= turn.norm() {
        let axis = tidy(&shift.normalize());
        return FreeDirection {
            motion: Kind::Translation,
            axis: axis.into(),
            through: (*center).into(),
            hold,
        };
    }
    // The axis of turn w and shift v of the middle goes through the middle plus w x v / w^2.
    let through = center + turn.cross(shift) * reach / turn.norm_squared();
    FreeDirection {
        motion: Kind::Rotation,
        axis: tidy(&turn.normalize()).into(),
        through: through.into(),
        hold,
    }
}

/// An axis has no sign: its largest part is made positive.
fn tidy(axis: &Vector3<f64>) -> Vector3<f64> {
    if axis[axis.iamax()] < 0.0 { -axis } else { *axis }
}
