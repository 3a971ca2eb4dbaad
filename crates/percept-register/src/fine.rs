//! From a motion nearby to the best one, coarse to fine.

use nalgebra::Vector3;
use percept_core::register::{Fine, Level, RegisterOptions, Size};
use rayon::join;

use crate::cells::Cells;
use crate::motion::{Motion, Scaled};
use crate::pairing::{Measure, Onto};
use crate::sheet::{Sheet, Whole};
use crate::solve::{Problem, Solved};
use crate::voxel;

/// Clouds of no more points are not thinned.
const FEW: usize = 6_000;
/// Points of the last level of larger ones.
const WANTED: usize = 16_000;
/// Neighbours that tell a surface.
const NEIGHBORS: usize = 10;
/// The largest distance of pairs, in voxels.
const REACH: f64 = 10.0;
/// And in the usual distance of neighbours, where all points are taken.
const REACH_OF_POINTS: f64 = 6.0;
/// And where planes have the last word on a coarse level. On the scan lines of a street they come to the right rest from
/// 2 degrees to either side with this reach, and to wrong ones with a wider.
const NARROW: f64 = 2.5;
const ITERATIONS: usize = 50;
/// Points to points take many small steps.
const POINT_ITERATIONS: usize = 200;
/// A step that moves points by less than this part of the largest distance of pairs is rest.
const REST: f64 = 1e-6;
/// On levels that are not the last.
const COARSE_REST: f64 = 1e-3;

/// One step of the way from coarse to fine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) voxel: f64,
    pub(crate) max_distance: f64,
    /// What it refines by: GICP comes to false rests with the few points and the wide reach of a coarse level, and planes
    /// do not.
    pub(crate) fine: Fine,
    /// How many neighbours tell the surface. A coarse level takes more: the nearest ones lie on one scan line.
    pub(crate) neighbors: usize,
    /// A step that moves points less than this is rest.
    pub(crate) rest: f64,
}

/// Where a start comes from, for how far off it may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Known {
    /// A person, or nobody, said so.
    Guessed,
    /// The search found it with voxels of this size.
    Found(f64),
}

/// The two clouds of the last level.
pub(crate) struct Sheets {
    pub(crate) source: Sheet,
    pub(crate) target: Sheet,
    pub(crate) voxel: f64,
    pub(crate) neighbors: usize,
    /// The usual distance of neighbours in the target.
    pub(crate) spacing: f64,
}

pub(crate) struct Refined {
    pub(crate) motion: Motion,
    pub(crate) levels: Vec<Level>,
    pub(crate) sheets: Sheets,
}

/// The levels, coarse to fine.
pub(crate) fn plan(source: &Whole, target: &Whole, options: &RegisterOptions, known: Known) -> Vec<Plan> {
    let steps = steps(source, target, options, known);
    let last = steps.len() - 1;
    let neighbors = options.neighbors.unwrap_or(NEIGHBORS).max(3);
    let planes = |fine: Fine| if fine == Fine::Gicp { Fine::Plane } else { fine };
    let coarse = |voxel: f64, max_distance: f64| Plan {
        voxel,
        max_distance,
        fine: planes(options.fine),
        neighbors: 2 * neighbors,
        rest: max_distance * COARSE_REST,
    };
    let mut plans: Vec<Plan> =
        steps[..last].iter().map(|&(voxel, max_distance)| coarse(voxel, max_distance)).collect();
    // What the wide reach has brought about, a narrow one makes sure of.
    let given = !options.voxels.is_empty();
    if let Some(&(voxel, wide)) = steps[..last].last().filter(|(voxel, _)| *voxel > 0.0 && !given) {
        plans.push(coarse(voxel, wide.min(NARROW * voxel)));
        if matches!(known, Known::Found(_)) {
            plans.drain(..plans.len() - 1);
        }
    }
    let (voxel, max_distance) = steps[last];
    plans.push(Plan { voxel, max_distance, fine: options.fine, neighbors, rest: max_distance * REST });
    plans
}

/// Sizes of voxels, and the largest distances of pairs. At least one.
fn steps(source: &Whole, target: &Whole, options: &RegisterOptions, known: Known) -> Vec<(f64, f64)> {
    let exact = !options.voxels.is_empty();
    let voxels = if exact { options.voxels.clone() } else { sizes(source, target, known) };
    let last = *voxels.last().unwrap_or(&0.0);
    if last > 0.0 {
        let widest = options.max_distance.unwrap_or(REACH * last);
        return voxels.iter().map(|&voxel| (voxel, widest * (voxel / last).max(1.0))).collect();
    }
    // All points, at shrinking distances.
    let spacing = spacing_of(&Sheet::new(target.thinned(0.0), NEIGHBORS));
    let last = options.max_distance.unwrap_or(REACH_OF_POINTS * spacing);
    let first: f64 = match known {
        Known::Guessed => 4.0,
        Known::Found(_) => 2.0,
    };
    let coarse = voxels.iter().filter(|voxel| **voxel > 0.0);
    let coarse = coarse.map(|&voxel| (voxel, (REACH * voxel).max(last)));
    let wider: &[f64] = if exact { &[1.0] } else { &[first, (first / 2.0).max(1.0), 1.0] };
    let rest = wider.iter().map(|wider| (0.0, wider * last));
    let mut steps: Vec<_> = coarse.chain(rest).collect();
    steps.dedup();
    steps
}

fn sizes(source: &Whole, target: &Whole, known: Known) -> Vec<f64> {
    // The target decides, so that one target gives one size; unless it is the far smaller one.
    let larger = if source.points.len() > 2 * target.points.len() { source } else { target };
    if larger.points.len() <= FEW {
        return vec![0.0];
    }
    let last = voxel::size_for(&larger.points, larger.diagonal, WANTED.min(larger.points.len() / 2));
    let last = voxel::round(last);
    match known {
        Known::Guessed => vec![4.0 * last, 2.0 * last, last],
        Known::Found(_) => vec![2.0 * last, last],
    }
}

/// Through all levels. At least one.
pub(crate) fn refine(
    source: &Whole,
    target: &Whole,
    options: &RegisterOptions,
    plans: &[Plan],
    start: &Motion,
) -> Refined {
    let mut motion = *start;
    let mut levels = Vec::new();
    let mut sheets: Option<Sheets> = None;
    for plan in plans {
        let now = match sheets.take() {
            Some(same) if (same.voxel, same.neighbors) == (plan.voxel, plan.neighbors) => same,
            _ => sheets_of(source, target, plan.voxel, plan.neighbors),
        };
        if options.fine != Fine::None {
            let solved = solve(&now, options, plan, &motion);
            motion = solved.motion;
            levels.push(Level {
                voxel: plan.voxel,
                max_distance: plan.max_distance,
                source_points: now.source.len(),
                target_points: now.target.len(),
                pairs: solved.pairs,
                iterations: solved.iterations,
                converged: solved.converged,
            });
        }
        sheets = Some(now);
    }
    let sheets = sheets.unwrap_or_else(|| sheets_of(source, target, 0.0, NEIGHBORS));
    Refined { motion, levels, sheets }
}

/// The same plans where the motion is known to `unit`, and where clouds may overlap in a small part: pairs farther apart
/// than that are of places that only one of them has seen, and pull it away. What was asked for stays.
pub(crate) fn narrow(plans: &mut [Plan], unit: f64, options: &RegisterOptions) {
    for plan in plans.iter_mut().filter(|_| options.max_distance.is_none()) {
        plan.max_distance = plan.max_distance.min(unit);
        plan.rest = plan.rest.min(unit * COARSE_REST);
    }
}

pub(crate) fn sheets_of(source: &Whole, target: &Whole, voxel: f64, neighbors: usize) -> Sheets {
    let (source, target) = join(
        || Sheet::new(source.thinned(voxel), neighbors),
        || Sheet::new(target.thinned(voxel), neighbors),
    );
    // Where there are voxels, theirs is the length that matters.
    let spacing = if voxel > 0.0 { voxel } else { spacing_of(&target) };
    Sheets { source, target, voxel, neighbors, spacing }
}

fn solve(sheets: &Sheets, options: &RegisterOptions, plan: &Plan, start: &Motion) -> Solved {
    let cells;
    let onto = if options.fine == Fine::Vgicp {
        // Cells of several voxels: a cell of one point would know no more than that point.
        let size = if plan.voxel > 0.0 { 2.0 * plan.voxel } else { plan.max_distance };
        cells = Cells::new(&sheets.target, size);
        Onto::Cells(&cells)
    } else {
        Onto::Points(&sheets.target)
    };
    let problem = Problem {
        source: &sheets.source,
        onto,
        measure: Measure { fine: plan.fine, kernel: options.kernel },
        max_distance: plan.max_distance,
        trim: options.trim,
        scaled: scaled(options),
        locked: options.locked,
        max_iterations: options.max_iterations.unwrap_or(match plan.fine {
            Fine::Point => POINT_ITERATIONS,
            _ => ITERATIONS,
        }),
        rest: plan.rest,
    };
    problem.solve(start)
}

pub(crate) fn scaled(options: &RegisterOptions) -> Scaled {
    match options.size {
        Size::Same => Scaled::No,
        Size::Estimated => Scaled::Yes,
    }
}

/// The median distance to the nearest other point.
pub(crate) fn spacing_of(sheet: &Sheet) -> f64 {
    let mut nearest =
        sheet.tree.neighbors_of_all(2, |_, near| near.last().map_or(0.0, |other| other.squared));
    if nearest.is_empty() {
        return 0.0;
    }
    let middle = nearest.len() / 2;
    f64::from(*nearest.select_nth_unstable_by(middle, f32::total_cmp).1).sqrt()
}

/// The middle of points, for tests and reports: where a turn is counted about.
pub(crate) fn middle_of(sheets: &Sheets, motion: &Motion) -> Vector3<f64> {
    motion.apply(&sheets.source.mean())
}
