//! What matches agree on, tried on the clouds.

use percept_core::register::{Doubt, Fine, Kernel, Locked, Matching, RegisterOptions, Search, Start};
use rayon::prelude::*;

use crate::agree::{self, Candidate, Matches};
use crate::fine;
use crate::judge::met;
use crate::motion::Motion;
use crate::pairing::{Measure, Onto};
use crate::sheet::Sheet;
use crate::solve::Problem;

/// How far a right match may be off, in units.
const NOISE: f64 = 1.2;
/// What is nearby, in units.
const NEARBY: f64 = 0.7;
/// Candidates of one kind of matches that are tried on the clouds, and those of them that are refined for the last word.
const TRIED: usize = 40;
const REFINED: usize = 8;
/// Matches that have to agree, one in how many of all, and the share of key points that have to meet, for no further attempt.
const ENOUGH_AGREEING: usize = 12;
const ENOUGH_ONE_IN: usize = 12;
const ENOUGH_MET: f64 = 0.35;
/// Matches of one kind that have to agree for no further attempt, and for no doubt, where these are counted. Where nothing is
/// right, up to a dozen of some hundreds agree by chance.
const ENOUGH_SUPPORT: usize = 30;
const LEAST_SUPPORT: usize = 14;
/// Samples of the method that draws them.
const TRIALS: usize = 100_000;
/// A rival that meets this share of what the best does makes the answer doubtful, where this share of matches supports it.
const RIVAL: f64 = 0.95;
const RIVAL_SUPPORT: f64 = 0.5;

/// What the search found.
pub(crate) struct Found {
    pub(crate) motion: Motion,
    pub(crate) search: Search,
    /// Its unit of length: the size of its voxels, or the usual distance of points.
    pub(crate) unit: f64,
    pub(crate) doubt: Option<Doubt>,
}

/// What one attempt came to.
pub(crate) struct Attempt {
    pub(crate) found: Option<Found>,
    /// Matches that agree with it, or the most that agreed on anything.
    pub(crate) agreeing: usize,
    pub(crate) met: f64,
    /// Whether no further attempt is needed.
    pub(crate) convinces: bool,
}

/// What makes one motion better than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// How much of the clouds it brings together.
    Met,
    /// This, by how many matches agree with it: wrong motions of rooms bring walls together too.
    Supported,
}

impl Worth {
    pub(crate) fn of(self, met: f64, support: usize) -> f64 {
        match self {
            Self::Met => met,
            Self::Supported => met * support as f64,
        }
    }
}

/// What candidates are tried on.
pub(crate) struct Ground<'a> {
    pub(crate) source: &'a Sheet,
    pub(crate) target: &'a Sheet,
    /// Of its coordinates.
    pub(crate) unit: f64,
    /// As it is reported.
    pub(crate) voxel: f64,
}

/// A candidate after a look at the clouds.
struct Tried {
    matching: Matching,
    motion: Motion,
    agreeing: usize,
    met: f64,
    support: usize,
}

impl Ground<'_> {
    /// Pairs of key points as places.
    pub(crate) fn matches(
        &self,
        matching: Matching,
        pairs: &[(usize, usize)],
        options: &RegisterOptions,
    ) -> (Matching, Matches) {
        let matches = Matches {
            source: pairs.iter().map(|(at, _)| self.source.points[*at]).collect(),
            target: pairs.iter().map(|(_, at)| self.target.points[*at]).collect(),
            noise: NOISE * self.unit,
            scaled: fine::scaled(options),
        };
        (matching, matches)
    }

    /// How much of the source has target nearby, and of the target source: what stands in one of them only tells a room from
    /// the same room turned round.
    pub(crate) fn met(&self, motion: &Motion) -> f64 {
        let Self { source, target, unit, .. } = *self;
        let there = met(source, target, motion, NEARBY * unit);
        (there + met(target, source, &motion.inverse(), NEARBY * unit / motion.scale)) / 2.0
    }

    /// The best candidates; the first ones refined a little.
    fn try_on(
        &self,
        candidates: &[(Matching, Candidate)],
        matches: &[(Matching, Matches)],
        worth: Worth,
        options: &RegisterOptions,
    ) -> Vec<Tried> {
        let tried = |(matching, candidate): &(Matching, Candidate)| Tried {
            matching: *matching,
            motion: candidate.motion,
            agreeing: candidate.agreeing,
            met: self.met(&candidate.motion),
            support: support(matches, &candidate.motion),
        };
        let mut all: Vec<Tried> = candidates.par_iter().map(tried).collect();
        let order = |left: &Tried, right: &Tried| {
            worth.of(right.met, right.support).total_cmp(&worth.of(left.met, left.support))
        };
        all.sort_by(order);
        all.truncate(REFINED);
        let problem = Problem {
            source: self.source,
            onto: Onto::Points(self.target),
            measure: Measure { fine: Fine::Plane, kernel: Kernel::None },
            max_distance: 3.0 * self.unit,
            trim: None,
            scaled: fine::scaled(options),
            locked: Locked::default(),
            max_iterations: 8,
            rest: 0.01 * self.unit,
        };
        all.par_iter_mut().for_each(|tried| {
            let motion = problem.solve(&tried.motion).motion;
            let better = self.met(&motion);
            let support = support(matches, &motion);
            if worth.of(better, support) >= worth.of(tried.met, tried.support) {
                (tried.motion, tried.met, tried.support) = (motion, better, support);
            }
        });
        all.sort_by(order);
        all
    }

    /// Another motion that is as good, if it is another.
    fn rivalry(&self, best: &Tried, rival: &Tried, worth: Worth) -> Option<Doubt> {
        let middle = self.source.mean();
        let degrees = best.motion.angle_to(&rival.motion).to_degrees();
        let distance = (best.motion.apply(&middle) - rival.motion.apply(&middle)).norm();
        let ratio = rival.met / best.met.max(f64::MIN_POSITIVE);
        let other = degrees > 10.0 || distance > 5.0 * self.unit;
        let supported = worth == Worth::Met || rival.support as f64 >= RIVAL_SUPPORT * best.support as f64;
        (other && supported && ratio >= RIVAL).then_some(Doubt::Ambiguous { ratio, degrees, distance })
    }
}

/// How many matches of all kinds agree with a motion.
pub(crate) fn support(matches: &[(Matching, Matches)], motion: &Motion) -> usize {
    matches.iter().map(|(_, matches)| agree::support(matches, motion)).sum()
}

/// A doubt where too few matches support an answer.
pub(crate) fn little_support(matches: &[(Matching, Matches)], support: usize) -> Option<Doubt> {
    let wanted = of_kinds(matches.len(), LEAST_SUPPORT);
    (support < wanted).then_some(Doubt::FewMatches { found: support, wanted })
}

/// A number of matches of one kind, for several: another kind counts for half, as what looks alike to one does to another.
fn of_kinds(kinds: usize, number: usize) -> usize {
    number * (kinds + 1) / 2
}

/// What matches agree on, and what of it brings the clouds together.
pub(crate) fn settle(
    ground: &Ground<'_>,
    matches: &[(Matching, Matches)],
    worth: Worth,
    options: &RegisterOptions,
) -> Attempt {
    let mut agreeing = 0;
    let mut candidates = Vec::new();
    for (matching, matches) in matches {
        let found = match options.start {
            Start::Sampled => agree::sampled(matches, TRIALS),
            _ => agree::candidates(matches),
        };
        agreeing = agreeing.max(found.first().map_or(0, |candidate| candidate.agreeing));
        candidates.extend(found.into_iter().take(TRIED).map(|candidate| (*matching, candidate)));
    }
    let tried = ground.try_on(&candidates, matches, worth, options);
    let Some(best) = tried.first() else {
        return Attempt { found: None, agreeing, met: 0.0, convinces: false };
    };
    let search = Search {
        matching: best.matching,
        voxel: ground.voxel,
        source_points: ground.source.len(),
        target_points: ground.target.len(),
        matches: matches
            .iter()
            .filter(|(kind, _)| *kind == best.matching)
            .map(|(_, all)| all.source.len())
            .sum(),
        agreeing: best.agreeing,
        tried: candidates.len(),
    };
    let rival = tried[1..].iter().find_map(|rival| ground.rivalry(best, rival, worth));
    let few = if worth == Worth::Supported { little_support(matches, best.support) } else { None };
    let (agreeing, met) = (best.agreeing, best.met);
    let supported = worth == Worth::Supported && best.support >= of_kinds(matches.len(), ENOUGH_SUPPORT);
    let many = agreeing >= ENOUGH_AGREEING && agreeing * ENOUGH_ONE_IN >= search.matches;
    Attempt {
        found: Some(Found { motion: best.motion, search, unit: ground.unit, doubt: few.or(rival) }),
        agreeing,
        met,
        convinces: supported || many && met >= ENOUGH_MET,
    }
}
