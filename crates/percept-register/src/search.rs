//! The motion between two clouds without a guess: key points, features, matches, what they agree on, a look at the clouds.

use percept_core::register::{Doubt, Fine, Kernel, Locked, Matching, RegisterOptions, Search, Start};
use rayon::join;
use rayon::prelude::*;

use crate::agree::{self, Candidate, Matches};
use crate::feature::{self, Feature, Sides};
use crate::fine;
use crate::judge::met;
use crate::learned::{self, Seen};
use crate::matching;
use crate::motion::{Motion, Scaled};
use crate::pairing::{Measure, Onto};
use crate::sheet::{Sheet, Whole};
use crate::solve::Problem;
use crate::voxel;

/// Key points of the first attempt, and of those after it where it was not convincing.
const WANTED: [usize; 3] = [2_500, 6_000, 12_000];
/// Neighbours that tell the surface at a key point.
const NEIGHBORS: usize = 20;
/// How far a feature looks, in voxels, and at how many neighbours at most.
const FEATURE_RADIUS: f64 = 5.0;
const FEATURE_NEIGHBORS: usize = 100;
/// How far a right match may be off, in voxels.
const NOISE: f64 = 1.2;
/// What is nearby, in voxels.
const NEARBY: f64 = 0.7;
/// Candidates of one kind of matches that are tried on the clouds, and those of them that are refined for the last word.
const TRIED: usize = 40;
const REFINED: usize = 8;
/// Matches that have to agree, and the share of key points that have to meet, for no further attempt.
const ENOUGH_AGREEING: usize = 12;
const ENOUGH_MET: f64 = 0.35;
/// Samples of the method that draws them.
const TRIALS: usize = 100_000;
/// A rival that meets this share of what the best does makes the answer doubtful.
const RIVAL: f64 = 0.95;

/// What the search found.
pub(crate) struct Found {
    pub(crate) motion: Motion,
    pub(crate) search: Search,
    /// Its unit of length: the size of its voxels, or the usual distance of points.
    pub(crate) unit: f64,
    pub(crate) doubt: Option<Doubt>,
}

/// One cloud of an attempt.
struct Side {
    sheet: Sheet,
    features: Vec<Feature>,
}

impl Side {
    fn new(sheet: Sheet, unit: f64, sides: Sides) -> Self {
        let radius = (FEATURE_RADIUS * unit, FEATURE_NEIGHBORS);
        let features = feature::features(&sheet.points, &sheet.normals, &sheet.tree, radius, sides);
        Self { sheet, features }
    }
}

/// A candidate after a look at the clouds.
struct Tried {
    matching: Matching,
    motion: Motion,
    agreeing: usize,
    met: f64,
}

/// What one attempt came to.
struct Attempt {
    found: Option<Found>,
    /// Matches that agree with it, or the most that agreed on anything.
    agreeing: usize,
    met: f64,
}

impl Attempt {
    fn convinces(&self) -> bool {
        self.found.is_some() && self.agreeing >= ENOUGH_AGREEING && self.met >= ENOUGH_MET
    }
}

/// Searches; none where no attempt found matches that agree. `Err` has the most that agreed.
pub(crate) fn search(source: &Whole, target: &Whole, options: &RegisterOptions) -> Result<Found, usize> {
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut flat = None;
    let mut last = None;
    if options.start != Start::Learned {
        for wanted in WANTED {
            let sizes = sizes(source, target, wanted, options);
            // Small clouds have no more points to offer.
            if last == Some(sizes) {
                break;
            }
            last = Some(sizes);
            attempts.push(attempt(source, target, sizes, options));
            if attempts.last().is_some_and(Attempt::convinces) {
                break;
            }
            // Where the first look does not convince, the network has one before a finer one is taken.
            if options.start == Start::Anywhere && flat.is_none() {
                let seen = learned::looked(source, target, fine::scaled(options));
                attempts.push(learned_attempt(&seen, options, true));
                flat = Some(seen);
                if attempts.last().is_some_and(Attempt::convinces) {
                    break;
                }
            }
        }
    } else {
        let seen = learned::looked(source, target, fine::scaled(options));
        attempts.push(learned_attempt(&seen, options, false));
    }
    let most_agreeing = attempts.iter().map(|attempt| attempt.agreeing).max().unwrap_or(0);
    // Attempts with voxels of different sizes are measured by one measure where there is one.
    let met = |attempt: &Attempt, found: &Found| match &flat {
        Some([source, target]) => {
            let motion = found.motion.in_units(source.unit, target.unit);
            both(&source.sheet, &target.sheet, &motion, 1.0)
        }
        None => attempt.met,
    };
    let mut best: Option<(f64, Found)> = None;
    for mut attempt in attempts {
        let Some(found) = attempt.found.take() else { continue };
        let met = met(&attempt, &found);
        if best.as_ref().is_none_or(|(most, _)| met > *most) {
            best = Some((met, found));
        }
    }
    best.map(|(_, found)| found).ok_or(most_agreeing)
}

/// The size of voxels for each cloud; 0 where all points are taken.
fn sizes(source: &Whole, target: &Whole, wanted: usize, options: &RegisterOptions) -> [f64; 2] {
    let size = |whole: &Whole| {
        if whole.points.len() <= wanted {
            return 0.0;
        }
        voxel::round(voxel::size_for(&whole.points, whole.diagonal, wanted))
    };
    match fine::scaled(options) {
        // Each by its own size: what a scale of 2 would make of the voxels is not known yet.
        Scaled::Yes => [size(source), size(target)],
        Scaled::No => {
            let larger = if source.points.len() > 2 * target.points.len() { source } else { target };
            [size(larger); 2]
        }
    }
}

fn attempt(source: &Whole, target: &Whole, sizes: [f64; 2], options: &RegisterOptions) -> Attempt {
    let neighbors = options.neighbors.unwrap_or(NEIGHBORS).max(3);
    let sheet = |whole: &Whole, size: f64| Sheet::new(whole.thinned(size), neighbors);
    let (wholes, sheets) = ((source, target), join(|| sheet(source, sizes[0]), || sheet(target, sizes[1])));
    let (mut source, mut target) = sheets;
    let sides = if wholes.0.facing.is_some() && wholes.1.facing.is_some() {
        join(|| source.face(wholes.0), || target.face(wholes.1));
        Sides::Told
    } else {
        Sides::Unknown
    };
    let unit = |sheet: &Sheet, size: f64| if size > 0.0 { size } else { fine::spacing_of(sheet) };
    let (own, unit) = (unit(&source, sizes[0]), unit(&target, sizes[1]));
    // Of two clouds of different density the sparser one says how well places are known.
    let (own, unit) = match fine::scaled(options) {
        Scaled::No => (own.max(unit), own.max(unit)),
        Scaled::Yes => (own, unit),
    };
    let (source, target) = join(|| Side::new(source, own, sides), || Side::new(target, unit, sides));
    let pairs = matching::mutual(&source.features, &target.features);
    let ground = Ground { source: &source.sheet, target: &target.sheet, unit, voxel: sizes[1] };
    settle(&ground, &[(Matching::Fpfh, pairs)], options)
}

/// An attempt with what the network takes for the same, and, `with_features`, with features at the same key points.
fn learned_attempt([source, target]: &[Seen; 2], options: &RegisterOptions, with_features: bool) -> Attempt {
    let mut pairs = Vec::new();
    if let Some(matches) = learned::matches(source, target) {
        pairs.push((Matching::Learned, matches));
    }
    if with_features {
        pairs.push((Matching::Fpfh, matching::mutual(&source.features, &target.features)));
    }
    let ground = Ground { source: &source.sheet, target: &target.sheet, unit: 1.0, voxel: target.unit };
    let mut attempt = settle(&ground, &pairs, options);
    if let Some(found) = &mut attempt.found {
        found.motion = found.motion.out_of_units(source.unit, target.unit);
        found.unit = target.unit;
        if let Some(Doubt::Ambiguous { distance, .. }) = &mut found.doubt {
            *distance *= target.unit;
        }
    }
    attempt
}

/// What candidates are tried on.
struct Ground<'a> {
    source: &'a Sheet,
    target: &'a Sheet,
    /// Of its coordinates.
    unit: f64,
    /// As it is reported.
    voxel: f64,
}

/// What matches agree on, and what of it brings the clouds together.
fn settle(
    ground: &Ground<'_>,
    pairs: &[(Matching, Vec<(usize, usize)>)],
    options: &RegisterOptions,
) -> Attempt {
    let Ground { source, target, unit, voxel } = *ground;
    let mut agreeing = 0;
    let mut candidates = Vec::new();
    for (matching, pairs) in pairs {
        let matches = Matches {
            source: pairs.iter().map(|(at, _)| source.points[*at]).collect(),
            target: pairs.iter().map(|(_, at)| target.points[*at]).collect(),
            noise: NOISE * unit,
            scaled: fine::scaled(options),
        };
        let found = match options.start {
            Start::Sampled => agree::sampled(&matches, TRIALS),
            _ => agree::candidates(&matches),
        };
        agreeing = agreeing.max(found.first().map_or(0, |candidate| candidate.agreeing));
        candidates.extend(found.into_iter().take(TRIED).map(|candidate| (*matching, candidate)));
    }
    let tried = try_on(&candidates, source, target, unit, options);
    let Some(best) = tried.first() else { return Attempt { found: None, agreeing, met: 0.0 } };
    let search = Search {
        matching: best.matching,
        voxel,
        source_points: source.len(),
        target_points: target.len(),
        matches: pairs
            .iter()
            .find(|(matching, _)| *matching == best.matching)
            .map_or(0, |(_, pairs)| pairs.len()),
        agreeing: best.agreeing,
        tried: candidates.len(),
    };
    let doubt = tried[1..].iter().find_map(|rival| rivalry(best, rival, source, unit));
    let (agreeing, met) = (best.agreeing, best.met);
    Attempt { found: Some(Found { motion: best.motion, search, unit, doubt }), agreeing, met }
}

/// The best candidates by how much of the source they bring onto the target; the first ones refined a little.
fn try_on(
    candidates: &[(Matching, Candidate)],
    source: &Sheet,
    target: &Sheet,
    unit: f64,
    options: &RegisterOptions,
) -> Vec<Tried> {
    let tried = |(matching, candidate): &(Matching, Candidate)| Tried {
        matching: *matching,
        motion: candidate.motion,
        agreeing: candidate.agreeing,
        met: both(source, target, &candidate.motion, unit),
    };
    let mut all: Vec<Tried> = candidates.par_iter().map(tried).collect();
    let order = |left: &Tried, right: &Tried| right.met.total_cmp(&left.met);
    all.sort_by(order);
    all.truncate(REFINED);
    let problem = Problem {
        source,
        onto: Onto::Points(target),
        measure: Measure { fine: Fine::Plane, kernel: Kernel::None },
        max_distance: 3.0 * unit,
        trim: None,
        scaled: fine::scaled(options),
        locked: Locked::default(),
        max_iterations: 8,
        rest: 0.01 * unit,
    };
    all.par_iter_mut().for_each(|tried| {
        let motion = problem.solve(&tried.motion).motion;
        let better = both(source, target, &motion, unit);
        if better >= tried.met {
            (tried.motion, tried.met) = (motion, better);
        }
    });
    all.sort_by(order);
    all
}

/// How much of the source has target nearby, and of the target source: what stands in one of them only tells a room from the
/// same room turned round.
fn both(source: &Sheet, target: &Sheet, motion: &Motion, unit: f64) -> f64 {
    let there = met(source, target, motion, NEARBY * unit);
    (there + met(target, source, &motion.inverse(), NEARBY * unit / motion.scale)) / 2.0
}

/// Another motion that is as good, if it is another.
fn rivalry(best: &Tried, rival: &Tried, source: &Sheet, unit: f64) -> Option<Doubt> {
    let middle = source.mean();
    let degrees = best.motion.angle_to(&rival.motion).to_degrees();
    let distance = (best.motion.apply(&middle) - rival.motion.apply(&middle)).norm();
    let ratio = rival.met / best.met.max(f64::MIN_POSITIVE);
    let other = degrees > 10.0 || distance > 5.0 * unit;
    (other && ratio >= RIVAL).then_some(Doubt::Ambiguous { ratio, degrees, distance })
}
