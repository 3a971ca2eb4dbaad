//! Which matches agree with each other, and the motion that many agree on, however many do not.
//!
//! A motion keeps distances: two right matches have points as far apart in the source as in the target. What agrees so is a
//! graph. Wrong matches have few neighbours in it, and right ones make a clique (TEASER++: Yang et al. 2020; k-core:
//! KISS-Matcher, Lim et al. 2025, and ROBIN, Shi et al. 2021).

use nalgebra::Vector3;
use rayon::prelude::*;

use crate::motion::{Motion, Scaled, fit};

/// Cliques that are begun.
const SEEDS: usize = 64;
/// Fewer matches than this tell no motion.
pub(crate) const LEAST: usize = 4;

/// Matches as places: `source[i]` should become `target[i]`.
pub(crate) struct Matches {
    pub(crate) source: Vec<Vector3<f64>>,
    pub(crate) target: Vec<Vector3<f64>>,
    /// How far a right match may be off.
    pub(crate) noise: f64,
    pub(crate) scaled: Scaled,
}

/// A motion and how many matches agree with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) motion: Motion,
    pub(crate) agreeing: usize,
}

/// Rows of bits: who agrees with whom.
struct Graph {
    words: usize,
    rows: Vec<u64>,
    count: usize,
}

impl Graph {
    fn new(matches: &Matches) -> Self {
        let count = matches.source.len();
        let words = count.div_ceil(64);
        let mut rows = vec![0; words * count];
        rows.par_chunks_mut(words.max(1)).enumerate().for_each(|(one, row)| {
            for other in (0..count).filter(|other| *other != one) {
                let apart = |points: &[Vector3<f64>]| (points[one] - points[other]).norm();
                let (p, q) = (apart(&matches.source), apart(&matches.target));
                // Two ends, each off by the noise; and pairs that are nearer than that say nothing.
                if (p - q).abs() <= 2.0 * matches.noise && p.max(q) > 2.0 * matches.noise {
                    row[other / 64] |= 1 << (other % 64);
                }
            }
        });
        Self { words, rows, count }
    }

    fn row(&self, at: usize) -> &[u64] {
        &self.rows[at * self.words..(at + 1) * self.words]
    }

    fn neighbors(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        ones(self.row(at))
    }

    fn degree(&self, at: usize) -> usize {
        self.row(at).iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The core number of each: the largest k for which it lies in a part where all have k neighbours (Batagelj and
    /// Zaversnik 2003).
    fn cores(&self) -> Vec<usize> {
        let mut degree: Vec<usize> = (0..self.count).map(|at| self.degree(at)).collect();
        let most = degree.iter().copied().max().unwrap_or(0);
        let mut buckets = vec![Vec::new(); most + 1];
        for (at, degree) in degree.iter().enumerate() {
            buckets[*degree].push(at);
        }
        let mut core = vec![0; self.count];
        let mut done = vec![false; self.count];
        let mut level = 0;
        while level <= most {
            let Some(at) = buckets[level].pop() else {
                level += 1;
                continue;
            };
            if done[at] || degree[at] > level {
                continue;
            }
            done[at] = true;
            core[at] = level;
            for other in self.neighbors(at) {
                if !done[other] && degree[other] > level {
                    degree[other] -= 1;
                    buckets[degree[other]].push(other);
                }
            }
        }
        core
    }

    /// A clique that cannot grow, from `seed`, by adding whoever agrees with most of those that are left.
    fn clique(&self, seed: usize) -> Vec<usize> {
        let mut clique = vec![seed];
        let mut left = self.row(seed).to_vec();
        loop {
            let mut best: Option<(usize, u32)> = None;
            for at in ones(&left) {
                let common =
                    self.row(at).iter().zip(&left).map(|(row, left)| (row & left).count_ones()).sum();
                if best.is_none_or(|(_, most)| common > most) {
                    best = Some((at, common));
                }
            }
            let Some((at, _)) = best else { break };
            clique.push(at);
            for (left, row) in left.iter_mut().zip(self.row(at)) {
                *left &= row;
            }
        }
        clique.sort_unstable();
        clique
    }
}

fn ones(row: &[u64]) -> impl Iterator<Item = usize> + '_ {
    row.iter().enumerate().flat_map(|(at, word)| {
        let mut word = *word;
        std::iter::from_fn(move || {
            let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
            word &= word - 1;
            Some(at * 64 + bit)
        })
    })
}

/// Motions that many matches agree on, the most first, each different from those before it by more than the noise.
pub(crate) fn candidates(matches: &Matches) -> Vec<Candidate> {
    if matches.source.len() < LEAST {
        return Vec::new();
    }
    let graph = Graph::new(matches);
    let cores = graph.cores();
    let mut order: Vec<usize> = (0..graph.count).collect();
    order.sort_by_key(|at| (std::cmp::Reverse((cores[*at], graph.degree(*at))), *at));
    // The innermost core as a whole, and cliques from seeds that are in none yet.
    let core: Vec<usize> = {
        let most = cores[order[0]];
        let mut core: Vec<usize> = order.iter().copied().take_while(|at| cores[*at] == most).collect();
        core.sort_unstable();
        core
    };
    let mut groups = vec![core];
    let mut covered = vec![false; graph.count];
    for seed in order {
        if groups.len() > SEEDS || cores[seed] + 1 < LEAST {
            break;
        }
        if covered[seed] {
            continue;
        }
        let clique = graph.clique(seed);
        for at in &clique {
            covered[*at] = true;
        }
        if clique.len() >= LEAST {
            groups.push(clique);
        }
    }
    let found: Vec<Option<Candidate>> = groups.par_iter().map(|group| consensus(matches, group)).collect();
    distinct(found.into_iter().flatten().collect(), matches)
}

/// The best of those that mean the same motion.
pub(crate) fn distinct(mut found: Vec<Candidate>, matches: &Matches) -> Vec<Candidate> {
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.agreeing));
    let middle = matches.source.iter().sum::<Vector3<f64>>() / matches.source.len().max(1) as f64;
    let reach = matches.source.iter().map(|point| (point - middle).norm()).fold(0.0, f64::max);
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in found {
        let same = kept.iter().any(|other| {
            let turned = candidate.motion.angle_to(&other.motion) * reach;
            let shifted = (candidate.motion.apply(&middle) - other.motion.apply(&middle)).norm();
            turned + shifted < 4.0 * matches.noise
        });
        if !same {
            kept.push(candidate);
        }
    }
    kept
}

/// The motion of a group, then of all that agree with it, by turns until that is the same.
pub(crate) fn consensus(matches: &Matches, group: &[usize]) -> Option<Candidate> {
    let mut motion = graduated(matches, group)?;
    let mut agreeing = agreeing(matches, &motion);
    for _ in 0..10 {
        let weights: Vec<f64> = agreeing.iter().map(|agrees| f64::from(u8::from(*agrees))).collect();
        let Some(next) = fit(&matches.source, &matches.target, &weights, matches.scaled) else { break };
        let now = self::agreeing(matches, &next);
        if count(&now) < count(&agreeing) {
            break;
        }
        let settled = now == agreeing;
        (motion, agreeing) = (next, now);
        if settled {
            break;
        }
    }
    let agreeing = count(&agreeing);
    (agreeing >= LEAST).then_some(Candidate { motion, agreeing })
}

/// How many matches a motion agrees with.
pub(crate) fn support(matches: &Matches, motion: &Motion) -> usize {
    count(&agreeing(matches, motion))
}

fn count(agreeing: &[bool]) -> usize {
    agreeing.iter().filter(|agrees| **agrees).count()
}

fn agreeing(matches: &Matches, motion: &Motion) -> Vec<bool> {
    let pairs = matches.source.iter().zip(&matches.target);
    pairs.map(|(source, target)| (motion.apply(source) - target).norm() <= matches.noise).collect()
}

/// Truncated least squares by graduated non-convexity (Yang et al. 2020, "Graduated non-convexity for robust spatial
/// perception"): weights of a group begin equal, and end at 1 within the noise and 0 beyond.
fn graduated(matches: &Matches, group: &[usize]) -> Option<Motion> {
    let take = |points: &[Vector3<f64>]| group.iter().map(|at| points[*at]).collect::<Vec<_>>();
    let (source, target) = (take(&matches.source), take(&matches.target));
    let mut weights = vec![1.0; group.len()];
    let mut motion = fit(&source, &target, &weights, matches.scaled)?;
    let bound = matches.noise * matches.noise;
    let squares = |motion: &Motion| -> Vec<f64> {
        let pairs = source.iter().zip(&target);
        pairs.map(|(source, target)| (motion.apply(source) - target).norm_squared()).collect()
    };
    let mut residuals = squares(&motion);
    let worst = residuals.iter().copied().fold(0.0, f64::max);
    if worst <= bound {
        return Some(motion);
    }
    let mut mu = bound / (2.0 * worst - bound);
    for _ in 0..60 {
        let (near, far) = (mu / (mu + 1.0) * bound, (mu + 1.0) / mu * bound);
        for (weight, residual) in weights.iter_mut().zip(&residuals) {
            *weight = match *residual {
                small if small <= near => 1.0,
                large if large >= far => 0.0,
                between => ((bound * mu * (mu + 1.0) / between).sqrt() - mu).clamp(0.0, 1.0),
            };
        }
        motion = match fit(&source, &target, &weights, matches.scaled) {
            Some(motion) => motion,
            None => break,
        };
        residuals = squares(&motion);
        if weights.iter().all(|weight| *weight < 1e-9 || *weight > 1.0 - 1e-9) {
            break;
        }
        mu *= 1.4;
    }
    Some(motion)
}

/// Random samples of three matches (RANSAC: Fischler and Bolles 1981), with the lengths of the triangle as a first test.
/// The seed is fixed: the same matches give the same answer.
pub(crate) fn sampled(matches: &Matches, trials: usize) -> Vec<Candidate> {
    let total = matches.source.len();
    if total < LEAST {
        return Vec::new();
    }
    const BATCH: usize = 4096;
    let batch = |batch: usize| {
        let mut random = Random::new(batch as u64);
        let mut best: Option<(usize, [usize; 3])> = None;
        for _ in 0..BATCH.min(trials - batch * BATCH) {
            let three = [random.below(total), random.below(total), random.below(total)];
            if three[0] == three[1] || three[1] == three[2] || three[0] == three[2] {
                continue;
            }
            let side =
                |points: &[Vector3<f64>], a: usize, b: usize| (points[three[a]] - points[three[b]]).norm();
            let fits = |(a, b)| {
                let (p, q) = (side(&matches.source, a, b), side(&matches.target, a, b));
                (p - q).abs() <= 2.0 * matches.noise && p.min(q) > 4.0 * matches.noise
            };
            if ![(0, 1), (1, 2), (0, 2)].into_iter().all(fits) {
                continue;
            }
            let take = |points: &[Vector3<f64>]| three.map(|at| points[at]);
            let Some(motion) = fit(&take(&matches.source), &take(&matches.target), &[1.0; 3], matches.scaled)
            else {
                continue;
            };
            let agreeing = count(&agreeing(matches, &motion));
            if best.is_none_or(|(most, _)| agreeing > most) {
                best = Some((agreeing, three));
            }
        }
        best
    };
    let batches: Vec<_> = (0..trials.div_ceil(BATCH)).into_par_iter().filter_map(batch).collect();
    let found = batches.iter().filter_map(|(_, three)| consensus(matches, three));
    distinct(found.collect(), matches)
}

/// A stream of random numbers (SplitMix64: Steele et al. 2014).
struct Random(u64);

impl Random {
    fn new(stream: u64) -> Self {
        Self(stream.wrapping_mul(0xd134_2543_de82_ef95) ^ 0x5eed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(mixed ^ (mixed >> 31)) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::Rotation3;

    fn truth() -> Motion {
        Motion {
            rotation: Rotation3::new(Vector3::new(2.0, -1.0, 0.7)).into_inner(),
            translation: Vector3::new(4.0, 2.0, -9.0),
            scale: 1.0,
        }
    }

    /// `total` matches of which `right` are right.
    fn matches(total: usize, right: usize) -> Matches {
        let mut random = Random::new(99);
        let mut number = |span: f64| (random.below(1 << 30) as f64 / f64::from(1 << 30) - 0.5) * span;
        let mut point = |span: f64| Vector3::new(number(span), number(span), number(span));
        let source: Vec<_> = (0..total).map(|_| point(20.0)).collect();
        let target = source.iter().enumerate().map(|(at, source)| {
            // Spread over the list, so that an order helps nobody.
            if at * right / total == (at + 1) * right / total {
                truth().apply(&point(20.0))
            } else {
                truth().apply(source) + point(0.05)
            }
        });
        Matches { target: target.collect(), source, noise: 0.1, scaled: Scaled::No }
    }

    fn assert_near(found: &Motion) {
        assert!((found.rotation - truth().rotation).norm() < 0.01, "{found:?}");
        assert!((found.translation - truth().translation).norm() < 0.05, "{found:?}");
    }

    #[test]
    fn one_right_match_in_twenty_is_enough() {
        for (total, right) in [(1000, 50), (1000, 20), (300, 15), (50, 50)] {
            let found = candidates(&matches(total, right));
            assert!(
                found[0].agreeing >= right && found[0].agreeing <= right + right / 5 + 2,
                "{:?}",
                found[0]
            );
            assert_near(&found[0].motion);
        }
    }

    #[test]
    fn samples_find_it_too() {
        assert_near(&sampled(&matches(400, 60), 50_000)[0].motion);
    }

    #[test]
    fn where_nothing_agrees_little_is_claimed() {
        let found = candidates(&matches(300, 0));
        assert!(found.iter().all(|candidate| candidate.agreeing < 8), "{found:?}");
        assert!(candidates(&matches(3, 3)).is_empty());
    }
}
