//! How well two clouds meet, how firmly, and whether that is to be trusted.

use nalgebra::{Matrix6, SymmetricEigen, Vector3, Vector6};
use percept_core::register::{Fit, FreeDirection, Motion as Kind};

use rayon::prelude::*;

use crate::fine::{Sheets, middle_of};
use crate::motion::Motion;
use crate::sheet::Sheet;

/// A direction is free where less than this share of the squared movement goes along the normals: the noise of normals makes
/// about 0.001 of a corridor with 5 mm of noise.
const FREE: f64 = 5e-3;
/// The cosine of the angle between normals of two clouds that tell the same surface.
const ALIKE: f64 = 0.96;
/// Points of a chunk, whose sums are added in their order.
const CHUNK: usize = 512;

/// Sums over points of the source that are met.
#[derive(Clone, Default)]
struct Sums {
    overlapping: usize,
    pairs: usize,
    planes: usize,
    firm: usize,
    squares: f64,
    before: f64,
    across: f64,
    movement: Matrix6<f64>,
    hold: Matrix6<f64>,
}

impl Sums {
    fn add(mut self, other: &Self) -> Self {
        self.overlapping += other.overlapping;
        self.pairs += other.pairs;
        self.planes += other.planes;
        self.firm += other.firm;
        self.squares += other.squares;
        self.before += other.before;
        self.across += other.across;
        self.movement += other.movement;
        self.hold += other.hold;
        self
    }
}

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
    let chunk = |(chunk, points): (usize, &[Vector3<f64>])| {
        let mut sums = Sums::default();
        for (at, point) in points.iter().enumerate() {
            let index = chunk * CHUNK + at;
            let place = motion.apply(point);
            let Some(found) = target.tree.nearest(&place, limit as f32) else { continue };
            sums.overlapping += 1;
            let at = found.index as usize;
            let residual = target.points[at] - place;
            if residual.norm() > inlier_distance {
                continue;
            }
            sums.pairs += 1;
            sums.squares += residual.norm_squared();
            sums.before += (target.points[at] - before.apply(point)).norm_squared();
            let normal = target.normals[at];
            if normal == Vector3::zeros() {
                continue;
            }
            sums.planes += 1;
            sums.across += residual.dot(&normal).powi(2);
            // Edges have normals of all sorts, which would hold in directions in which no surface does. Where both
            // clouds tell the same, their mean has half the noise.
            let own = motion.rotation * source.normals[index];
            let alike = own.dot(&normal);
            if alike.abs() >= ALIKE {
                let arm = place - center;
                sums.firm += 1;
                sums.movement += movement(&arm);
                sums.hold += held(&arm, &(normal + own * alike.signum()).normalize());
            }
        }
        sums
    };
    let back = motion.inverse();
    let overlap_target = met(target, source, &back, overlap_distance / motion.scale);
    let chunks: Vec<Sums> = source.points.par_chunks(CHUNK).enumerate().map(chunk).collect();
    let Sums { overlapping, pairs, planes, firm, squares, before, across, movement, hold } =
        chunks.iter().fold(Sums::default(), Sums::add);
    let mean = |sum: f64, count: usize| if count > 0 { (sum / count as f64).sqrt() } else { 0.0 };
    let share = |part: usize, whole: usize| if whole > 0 { part as f64 / whole as f64 } else { 0.0 };
    fit.pairs = pairs;
    fit.rmse_after = mean(squares, pairs);
    fit.rmse_before = mean(before, pairs);
    fit.plane_rmse_after = mean(across, planes);
    fit.inlier_ratio = share(fit.pairs, fit.asked);
    fit.overlap_source = share(overlapping, source.len());
    fit.overlap_target = overlap_target;
    let (free, covariance) = if firm >= 6 {
        let variance = across / (planes - 5) as f64;
        firmness(&hold, &movement, variance, &(center + offset))
    } else {
        (Vec::new(), None)
    };
    Judged { fit, covariance, free }
}

/// The share of `points` that have one of `others` within `distance`.
pub(crate) fn met(points: &Sheet, others: &Sheet, motion: &Motion, distance: f64) -> f64 {
    let limit = (distance * distance) as f32;
    let met = points.points.par_iter().with_min_len(CHUNK);
    let met = met.filter(|point| others.tree.nearest(&motion.apply(point), limit).is_some());
    met.count() as f64 / points.len().max(1) as f64
}

/// How much three turns and three shifts move a point along a normal, squared.
fn held(arm: &Vector3<f64>, normal: &Vector3<f64>) -> Matrix6<f64> {
    let turn = arm.cross(normal);
    let row = Vector6::new(turn.x, turn.y, turn.z, normal.x, normal.y, normal.z);
    row * row.transpose()
}

/// How much three turns and three shifts move a point, squared.
fn movement(arm: &Vector3<f64>) -> Matrix6<f64> {
    let mut movement = Matrix6::identity();
    let cross = arm.cross_matrix();
    movement.fixed_view_mut::<3, 3>(0, 0).copy_from(&(cross * cross.transpose()));
    movement.fixed_view_mut::<3, 3>(0, 3).copy_from(&cross);
    movement.fixed_view_mut::<3, 3>(3, 0).copy_from(&cross.transpose());
    movement
}

/// Directions that nothing holds, and the covariance where there are none.
///
/// `hold` sums how much each of three turns about the middle and three shifts moves points along the normals, squared
/// (Gelfand et al. 2003, "Geometrically stable sampling"), and `movement` how much it moves them at all. Their quotient is
/// 0 where points slide along the surface and 1 where all go straight away from it, whatever the axes and the unit.
fn firmness(
    hold: &Matrix6<f64>,
    movement: &Matrix6<f64>,
    variance: f64,
    center: &Vector3<f64>,
) -> (Vec<FreeDirection>, Option<[[f64; 6]; 6]>) {
    let Some(root) = movement.cholesky().and_then(|factor| factor.l().try_inverse()) else {
        return (Vec::new(), None);
    };
    let eigen = SymmetricEigen::new(root * hold * root.transpose());
    let mut free = Vec::new();
    for (value, vector) in eigen.eigenvalues.iter().zip(eigen.eigenvectors.column_iter()) {
        if *value < FREE {
            free.push(direction(&(root.transpose() * vector), movement, center, value.max(0.0)));
        }
    }
    free.sort_by(|left: &FreeDirection, right| left.hold.total_cmp(&right.hold));
    let inverse = if free.is_empty() { hold.try_inverse() } else { None };
    let covariance = inverse.map(|inverse| {
        std::array::from_fn(|row| std::array::from_fn(|column| variance * inverse[(row, column)]))
    });
    (free, covariance)
}

/// What a small motion is: a shift, where that moves points more than its turn does, or a turn about an axis.
fn direction(
    motion: &Vector6<f64>,
    movement: &Matrix6<f64>,
    center: &Vector3<f64>,
    hold: f64,
) -> FreeDirection {
    let (turn, shift) = (motion.fixed_rows::<3>(0).into_owned(), motion.fixed_rows::<3>(3).into_owned());
    let turning = (turn.transpose() * movement.fixed_view::<3, 3>(0, 0) * turn)[0];
    let shifting = (shift.transpose() * movement.fixed_view::<3, 3>(3, 3) * shift)[0];
    if shifting >= turning {
        let axis = tidy(&shift.normalize());
        return FreeDirection {
            motion: Kind::Translation,
            axis: axis.into(),
            through: (*center).into(),
            hold,
        };
    }
    // The axis of a turn w with a shift v of the middle goes through the middle plus w x v / w^2.
    let through = center + turn.cross(&shift) / turn.norm_squared();
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
