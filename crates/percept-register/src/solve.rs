//! Brings a source onto a target from a motion nearby: pairs, one damped step of Gauss and Newton, pairs again.
//!
//! Sums are made over chunks of a fixed size and added in their order, so that any number of threads gives the same bytes.

use nalgebra::{SMatrix, SVector, Vector3};
use percept_core::register::{Fine, Locked};
use rayon::prelude::*;

use crate::motion::{Motion, Scaled, Step};
use crate::pairing::{Measure, Onto};
use crate::sheet::Sheet;
use crate::tree::Tree;

/// Turn, shift, growth.
const FREEDOM: usize = 7;
/// Points of a chunk.
const CHUNK: usize = 512;
/// Pairs that change places without making the sum smaller do so for ever. After so many such steps they stay as they are,
/// once steps are small beside the largest distance of pairs.
const SETTLING: usize = 8;
const SMALL: f64 = 0.01;
const SMALLER: f64 = 1.0 - 1e-4;
/// Neighbours are looked for a little beyond the largest distance of pairs, so that it is known for how far a point
/// without one stays without.
const BEYOND: f32 = 1.2;

pub(crate) type Normal = SMatrix<f64, FREEDOM, FREEDOM>;
type Slope = SVector<f64, FREEDOM>;

/// What is brought where, and how.
pub(crate) struct Problem<'a> {
    pub(crate) source: &'a Sheet,
    pub(crate) onto: Onto<'a>,
    pub(crate) measure: Measure,
    /// Beyond what two points are no pair.
    pub(crate) max_distance: f64,
    /// The share of pairs that counts.
    pub(crate) trim: Option<f64>,
    pub(crate) scaled: Scaled,
    pub(crate) locked: Locked,
    pub(crate) max_iterations: usize,
    /// A step that moves points less than this is rest.
    pub(crate) rest: f64,
}

/// Where it came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Solved {
    pub(crate) motion: Motion,
    pub(crate) iterations: usize,
    pub(crate) converged: bool,
    pub(crate) pairs: usize,
}

/// Whom a point of the source is paired with, and for how far it stays so.
#[derive(Clone, Copy)]
struct Partner {
    first: u32,
    second: u32,
    /// Where the point was when it was looked up, and how far from there nobody else is nearer.
    place: Vector3<f64>,
    slack: f64,
    paired: bool,
    length: f64,
}

const NOBODY: u32 = u32::MAX;

/// Sums over pairs.
#[derive(Clone, Copy)]
struct Sums {
    normal: Normal,
    slope: Slope,
    cost: f64,
    pairs: usize,
}

impl Sums {
    fn zero() -> Self {
        Self { normal: Normal::zeros(), slope: Slope::zeros(), cost: 0.0, pairs: 0 }
    }

    fn add(mut self, other: &Self) -> Self {
        self.normal += other.normal;
        self.slope += other.slope;
        self.cost += other.cost;
        self.pairs += other.pairs;
        self
    }
}

impl Problem<'_> {
    /// From `start` to rest.
    pub(crate) fn solve(&self, start: &Motion) -> Solved {
        let middle = self.source.mean();
        let radius = (self.source.points.iter().map(|point| (point - middle).norm_squared()).sum::<f64>()
            / self.source.len().max(1) as f64)
            .sqrt();
        let nobody = Partner {
            first: NOBODY,
            second: NOBODY,
            place: Vector3::repeat(f64::INFINITY),
            slack: -1.0,
            paired: false,
            length: 0.0,
        };
        let mut partners = vec![nobody; self.source.len()];
        let mut damping = 1e-6_f64;
        let mut solved = Solved { motion: *start, iterations: 0, converged: false, pairs: 0 };
        // The last motion from which a step was taken, and its cost.
        let mut before: Option<(Motion, Sums)> = None;
        let (mut settled, mut least, mut in_vain) = (false, f64::INFINITY, 0);
        while solved.iterations < self.max_iterations {
            if !settled {
                self.pair_up(&solved.motion, &mut partners);
            }
            let cut = self.trim.map(|share| cut(&mut partners, share));
            let center = solved.motion.apply(&middle);
            let mut sums = self.sum_up(&solved.motion, &center, &partners, cut);
            match &before {
                // Worse by more than what a change of pairs explains: a shorter step from where it was.
                Some((motion, earlier)) if sums.cost > earlier.cost * 1.05 && damping < 1e3 => {
                    damping *= 100.0;
                    sums = *earlier;
                    solved.motion = *motion;
                }
                _ => {
                    damping = (damping / 10.0).max(1e-9);
                    solved.pairs = sums.pairs;
                    before = Some((solved.motion, sums));
                }
            }
            solved.iterations += 1;
            if sums.pairs < 3 {
                break;
            }
            let Some(step) = self.step(&sums, damping, radius) else { break };
            solved.motion = solved.motion.stepped(&step, &solved.motion.apply(&middle));
            let moved = step.shift.norm() + (step.turn.norm() + step.growth.abs()) * radius;
            in_vain = if sums.cost < least * SMALLER { 0 } else { in_vain + 1 };
            least = least.min(sums.cost);
            settled |= in_vain >= SETTLING && moved < SMALL * self.max_distance;
            if moved < self.rest {
                solved.converged = true;
                break;
            }
        }
        solved
    }

    fn step(&self, sums: &Sums, damping: f64, radius: f64) -> Option<Step> {
        let (mut normal, mut slope) = (sums.normal, sums.slope);
        let stiffest = (0..FREEDOM)
            .map(|at| normal[(at, at)] / if (3..6).contains(&at) { 1.0 } else { radius * radius })
            .fold(0.0, f64::max);
        for at in 0..FREEDOM {
            let unit = if (3..6).contains(&at) { 1.0 } else { radius * radius };
            // The second term holds directions in which nothing else does.
            normal[(at, at)] += normal[(at, at)] * damping + stiffest * unit * 1e-9;
        }
        let locked = self.locked.rotation.into_iter().chain(self.locked.translation);
        for (at, locked) in locked.chain([self.scaled == Scaled::No]).enumerate() {
            if locked {
                normal.row_mut(at).fill(0.0);
                normal.column_mut(at).fill(0.0);
                normal[(at, at)] = 1.0;
                slope[at] = 0.0;
            }
        }
        let solution = normal.cholesky()?.solve(&slope);
        solution.iter().all(|value| value.is_finite()).then(|| Step {
            turn: solution.fixed_rows::<3>(0).into_owned(),
            shift: solution.fixed_rows::<3>(3).into_owned(),
            growth: solution[6],
        })
    }

    fn pair_up(&self, motion: &Motion, partners: &mut [Partner]) {
        let limit = (self.max_distance * self.max_distance) as f32;
        let limit = if limit.is_finite() { limit } else { f32::MAX };
        let points = self.source.points.par_chunks(CHUNK);
        partners.par_chunks_mut(CHUNK).zip(points).for_each(|(partners, points)| {
            for (partner, point) in partners.iter_mut().zip(points) {
                let place = motion.apply(point);
                match &self.onto {
                    Onto::Points(onto) => pair_with_point(partner, onto, place, limit),
                    Onto::Cells(cells) => {
                        let found = cells.holding(&place);
                        partner.paired = found.is_some();
                        partner.first = found.map_or(NOBODY, |at| at as u32);
                    }
                }
            }
        });
        if self.trim.is_some() {
            let indexed = partners.par_chunks_mut(CHUNK).enumerate();
            indexed.for_each(|(chunk, partners)| {
                for (at, partner) in partners.iter_mut().enumerate().filter(|(_, partner)| partner.paired) {
                    let source = chunk * CHUNK + at;
                    let place = motion.apply(&self.source.points[source]);
                    let pair = (source, partner.first as usize);
                    partner.length = self.measure.pair(self.source, &self.onto, pair, &place, motion).length;
                }
            });
        }
    }

    fn sum_up(&self, motion: &Motion, center: &Vector3<f64>, partners: &[Partner], cut: Option<f64>) -> Sums {
        // What a point without a partner costs: as much as the farthest pair could.
        let alone = match self.measure.fine {
            Fine::Gicp | Fine::Vgicp => self.max_distance.powi(2) * 500.0,
            _ => self.max_distance.powi(2),
        };
        let alone = if alone.is_finite() { alone } else { 0.0 };
        let chunk = |(chunk, partners): (usize, &[Partner])| {
            let mut sums = Sums::zero();
            for (at, partner) in partners.iter().enumerate() {
                if !partner.paired || cut.is_some_and(|cut| partner.length > cut) {
                    sums.cost += alone;
                    continue;
                }
                let source = chunk * CHUNK + at;
                let place = motion.apply(&self.source.points[source]);
                let pair = (source, partner.first as usize);
                let pair = self.measure.pair(self.source, &self.onto, pair, &place, motion);
                let weight = self.measure.weight(pair.length);
                sums.pairs += 1;
                sums.cost += weight * pair.cost;
                if weight > 0.0 {
                    accumulate(&mut sums, &(place - center), &(pair.hold * weight), &(pair.pull * weight));
                }
            }
            sums
        };
        let chunks: Vec<Sums> = partners.par_chunks(CHUNK).enumerate().map(chunk).collect();
        let mut sums = chunks.iter().fold(Sums::zero(), Sums::add);
        sums.normal.fill_lower_triangle_with_upper_triangle();
        sums
    }
}

fn pair_with_point(partner: &mut Partner, onto: &Sheet, place: Vector3<f64>, limit: f32) {
    let moved = (place - partner.place).norm();
    if moved >= partner.slack {
        let mut reach = limit * BEYOND * BEYOND;
        if partner.second != NOBODY {
            // What was found last is at most so far away now, which is a limit for who may be nearer.
            let to = |index: u32| Tree::squared(&place, &onto.points[index as usize]);
            reach = reach.min(to(partner.first).max(to(partner.second)));
        }
        let [first, second] = onto.tree.nearest_two(&place, reach);
        let (near, next) = (f64::from(first.squared).sqrt(), f64::from(second.squared).sqrt());
        partner.place = place;
        // f32 rounds the distances; what is left of the gap after that is certain.
        let gap = match first.index {
            NOBODY => near - f64::from(limit).sqrt(),
            _ => (next - near) / 2.0,
        };
        partner.slack = gap - 1e-6 * (next + place.norm());
        (partner.first, partner.second) = (first.index, second.index);
    }
    partner.paired =
        partner.first != NOBODY && Tree::squared(&place, &onto.points[partner.first as usize]) <= limit;
}

/// The length below which the given share of the pairs lies.
fn cut(partners: &mut [Partner], share: f64) -> f64 {
    let mut lengths: Vec<f64> =
        partners.iter().filter(|partner| partner.paired).map(|partner| partner.length).collect();
    if lengths.is_empty() {
        return f64::INFINITY;
    }
    let at = ((lengths.len() as f64 * share).ceil() as usize).clamp(1, lengths.len()) - 1;
    *lengths.select_nth_unstable_by(at, f64::total_cmp).1
}

/// Adds a pair whose point lies at `y` from the center of turns: a small turn `t`, shift `s` and growth `g` move it by
/// `t x y + s + g y`. Fills the upper triangle.
fn accumulate(sums: &mut Sums, y: &Vector3<f64>, hold: &nalgebra::Matrix3<f64>, pull: &Vector3<f64>) {
    let normal = &mut sums.normal;
    // Rows of `[y]x hold`: how a turn pulls on shifts.
    let cross = nalgebra::Matrix3::from_columns(&[
        y.cross(&hold.column(0)),
        y.cross(&hold.column(1)),
        y.cross(&hold.column(2)),
    ]);
    for row in 0..3 {
        // `[y]x hold [y]x^T`: each row of `cross` times `[y]x^T` is the product of y with it.
        let turned = y.cross(&cross.row(row).transpose());
        for column in row..3 {
            normal[(row, column)] += turned[column];
            normal[(3 + row, 3 + column)] += hold[(row, column)];
        }
        for column in 0..3 {
            normal[(row, 3 + column)] += cross[(row, column)];
        }
    }
    let grown = hold * y;
    let turned = y.cross(&grown);
    let slope = y.cross(pull);
    for axis in 0..3 {
        normal[(axis, 6)] += turned[axis];
        normal[(3 + axis, 6)] += grown[axis];
        sums.slope[axis] += slope[axis];
        sums.slope[3 + axis] += pull[axis];
    }
    normal[(6, 6)] += y.dot(&grown);
    sums.slope[6] += y.dot(pull);
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::Matrix3;

    #[test]
    fn a_pair_weighs_as_its_derivative_says() {
        let (y, hold) =
            (Vector3::new(1.0, -2.0, 3.0), Matrix3::new(3.0, 1.0, 0.5, 1.0, 2.0, -0.3, 0.5, -0.3, 4.0));
        let pull = Vector3::new(0.3, 0.7, -0.2);
        let mut sums = Sums::zero();
        accumulate(&mut sums, &y, &hold, &pull);
        sums.normal.fill_lower_triangle_with_upper_triangle();
        // Columns: what each of the seven small changes does to the point.
        let mut moves = SMatrix::<f64, 3, 7>::zeros();
        for axis in 0..3 {
            let mut unit = Vector3::zeros();
            unit[axis] = 1.0;
            moves.set_column(axis, &unit.cross(&y));
            moves.set_column(3 + axis, &unit);
        }
        moves.set_column(6, &y);
        assert!((moves.transpose() * hold * moves - sums.normal).norm() < 1e-12);
        assert!((moves.transpose() * pull - sums.slope).norm() < 1e-12);
    }
}
