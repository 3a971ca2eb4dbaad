//! The motion between two clouds without a guess: key points, features, matches, what they agree on, a look at the clouds.

use percept_core::register::{Doubt, Matching, RegisterOptions, Start};
use rayon::join;

use crate::agree::Matches;
use crate::feature::{self, Feature, Sides};
use crate::fine;
use crate::learned::{self, Seen};
use crate::look::{self, Attempt, Found, Ground, Worth};
use crate::matching;
use crate::motion::{Motion, Scaled};
use crate::sheet::{Sheet, Whole};
use crate::voxel;

/// Key points of the first attempt, and of those after it where it was not convincing.
const WANTED: [usize; 3] = [2_500, 6_000, 12_000];
/// Neighbours that tell the surface at a key point.
const NEIGHBORS: usize = 20;
/// How far a feature looks, in voxels, and at how many neighbours at most.
const FEATURE_RADIUS: f64 = 5.0;
const FEATURE_NEIGHBORS: usize = 100;

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

/// What a search came to.
pub(crate) struct Searched {
    pub(crate) found: Found,
    /// What of the clouds lies on surfaces, where it was asked.
    pub(crate) flat: Option<[Whole; 2]>,
}

/// Searches; none where no attempt found matches that agree. `Err` has the most that agreed.
pub(crate) fn search(source: &Whole, target: &Whole, options: &RegisterOptions) -> Result<Searched, usize> {
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut second = None;
    let mut last = None;
    for (turn, wanted) in WANTED.into_iter().enumerate() {
        let (only, also) = (options.start == Start::Learned, options.start != Start::Sampled);
        if only || turn == 1 && also {
            // Where the first look does not convince, one at surfaces is taken before a finer one.
            let second = second.insert(Second::new(source, target, options));
            attempts.push(second.attempt(options));
            if only || attempts.last().is_some_and(|attempt| attempt.convinces) {
                break;
            }
        }
        let sizes = sizes(source, target, wanted, options);
        // Small clouds have no more points to offer.
        if last == Some(sizes) {
            break;
        }
        last = Some(sizes);
        attempts.push(attempt(source, target, sizes, options));
        if attempts.last().is_some_and(|attempt| attempt.convinces) {
            break;
        }
    }
    let most_agreeing = attempts.iter().map(|attempt| attempt.agreeing).max().unwrap_or(0);
    let mut best: Option<(f64, Found)> = None;
    for mut attempt in attempts {
        let Some(found) = attempt.found.take() else { continue };
        // Attempts with voxels of different sizes are measured by one measure where there is one.
        let worth = second.as_ref().map_or(attempt.met, |second: &Second| second.worth(&found.motion));
        if best.as_ref().is_none_or(|(most, _)| worth > *most) {
            best = Some((worth, found));
        }
    }
    let Some((_, mut found)) = best else { return Err(most_agreeing) };
    if let (Some(second), None) = (&second, &found.doubt) {
        found.doubt = look::little_support(&second.matches, second.support(&found.motion));
    }
    Ok(Searched { found, flat: second.map(|second| second.flat) })
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
    let [own, unit] = fine::scaled(options).units(unit(&source, sizes[0]), unit(&target, sizes[1]));
    let (source, target) = join(|| Side::new(source, own, sides), || Side::new(target, unit, sides));
    let pairs = matching::mutual(&source.features, &target.features);
    let ground = Ground { source: &source.sheet, target: &target.sheet, unit, voxel: sizes[1] };
    look::settle(&ground, &[ground.matches(Matching::Fpfh, &pairs, options)], Worth::Met, options)
}

/// A look at what lies on surfaces, with the network's matches and with those of features at the same key points.
struct Second {
    flat: [Whole; 2],
    seen: [Seen; 2],
    matches: Vec<(Matching, Matches)>,
}

impl Second {
    fn new(source: &Whole, target: &Whole, options: &RegisterOptions) -> Self {
        let (source, target) = join(|| learned::flat(source), || learned::flat(target));
        let seen = learned::seen([&source, &target], fine::scaled(options));
        let ground = Self::ground(&seen);
        let mut matches = Vec::new();
        if options.start != Start::Features
            && let Some(pairs) = learned::matches(&seen[0], &seen[1])
        {
            matches.push(ground.matches(Matching::Learned, &pairs, options));
        }
        if options.start != Start::Learned {
            let pairs = learned::matches_of_features(&seen[0], &seen[1]);
            matches.push(ground.matches(Matching::Fpfh, &pairs, options));
        }
        Self { flat: [source, target], seen, matches }
    }

    /// Lengths are counted in the clouds' units.
    fn ground([source, target]: &[Seen; 2]) -> Ground<'_> {
        Ground { source: &source.sheet, target: &target.sheet, unit: 1.0, voxel: target.unit }
    }

    fn attempt(&self, options: &RegisterOptions) -> Attempt {
        let mut attempt = look::settle(&Self::ground(&self.seen), &self.matches, Worth::Supported, options);
        let [own, unit] = [self.seen[0].unit, self.seen[1].unit];
        if let Some(found) = &mut attempt.found {
            found.motion = found.motion.out_of_units(own, unit);
            found.unit = unit;
            if let Some(Doubt::Ambiguous { distance, .. }) = &mut found.doubt {
                *distance *= unit;
            }
        }
        attempt
    }

    /// How many matches agree with a motion.
    fn support(&self, motion: &Motion) -> usize {
        look::support(&self.matches, &self.in_units(motion))
    }

    /// What a motion is worth.
    fn worth(&self, motion: &Motion) -> f64 {
        let met = Self::ground(&self.seen).met(&self.in_units(motion));
        Worth::Supported.of(met, self.support(motion))
    }

    fn in_units(&self, motion: &Motion) -> Motion {
        motion.in_units(self.seen[0].unit, self.seen[1].unit)
    }
}
