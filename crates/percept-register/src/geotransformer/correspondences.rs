//! Which points of matched patches are the same, and the motion that they tell: each patch proposes one, the one that most
//! points agree on is refined by all that agree (`LocalGlobalRegistration`).

use nalgebra::Vector3;
use rayon::prelude::*;

use super::configuration::FineMatching;
use super::pyramid::place;
use crate::motion::{Motion, Scaled, fit};

/// Two points that are the same, by their indices in their clouds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Correspondence {
    pub(super) target: u32,
    pub(super) source: u32,
    pub(super) score: f32,
    /// The pair of patches that they belong to.
    pub(super) patch: u32,
}

/// The correspondences of one pair of patches, of `rows` points of the target and `columns` of the source (as
/// (row, column, score)), row by row; `plan` is the logarithm of a plan with a dustbin in the last row and column.
pub(super) fn chosen(
    plan: &[f32],
    [rows, columns]: [usize; 2],
    config: &FineMatching,
) -> Vec<(usize, usize, f32)> {
    let score = |row: usize, column: usize| plan[row * (columns + 1) + column].exp();
    let mut of_rows = vec![false; rows * columns];
    let mut of_columns = vec![false; rows * columns];
    let mut best = Vec::new();
    for row in 0..rows {
        best_of(&mut best, columns, config, |column| score(row, column));
        best.iter().for_each(|column| of_rows[row * columns + column] = true);
    }
    for column in 0..columns {
        best_of(&mut best, rows, config, |row| score(row, column));
        best.iter().for_each(|row| of_columns[row * columns + column] = true);
    }
    let both = of_rows.iter().zip(of_columns).enumerate();
    let chosen = both.filter(|(_, (row, column))| match config.mutual {
        true => **row && *column,
        false => **row || *column,
    });
    chosen.map(|(at, _)| (at / columns, at % columns, score(at / columns, at % columns))).collect()
}

/// The `topk` best of `count` that are above the threshold, into `best`; ties go to the first.
fn best_of(best: &mut Vec<usize>, count: usize, config: &FineMatching, score: impl Fn(usize) -> f32) {
    best.clear();
    for at in 0..count {
        let own = score(at);
        // NaN is above nothing.
        if own.is_nan() || own <= config.confidence_threshold {
            continue;
        }
        let place = best.iter().position(|other| score(*other) < own).unwrap_or(best.len());
        if place < config.topk {
            best.insert(place, at);
            best.truncate(config.topk);
        }
    }
}

/// What the correspondences of all patches came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// Source to target.
    pub(super) motion: Motion,
    /// Correspondences that agree with it.
    pub(super) agreeing: usize,
    /// Motions that patches proposed.
    pub(super) proposed: usize,
}

/// The motion of the source that correspondences tell; none where no three of them do.
pub(super) fn motion(
    correspondences: &[Correspondence],
    [target, source]: [&[[f32; 3]]; 2],
    config: &FineMatching,
) -> Option<Found> {
    let pair = |one: &Correspondence| {
        (place(&target[one.target as usize]), place(&source[one.source as usize]), f64::from(one.score))
    };
    let pairs: Vec<_> = correspondences.iter().map(pair).collect();
    let solved = |pairs: &[(Vector3<f64>, Vector3<f64>, f64)]| {
        let targets: Vec<_> = pairs.iter().map(|(target, ..)| *target).collect();
        let sources: Vec<_> = pairs.iter().map(|(_, source, _)| *source).collect();
        let weights: Vec<_> = pairs.iter().map(|(.., weight)| *weight).collect();
        fit(&sources, &targets, &weights, Scaled::No)
    };
    let agrees = |motion: &Motion, (target, source, _): &(Vector3<f64>, Vector3<f64>, f64)| {
        (target - motion.apply(source)).norm() < config.acceptance_radius
    };
    let verified: Vec<_> = match config.correspondence_limit {
        Some(limit) if pairs.len() > limit => {
            let mut order: Vec<usize> = (0..pairs.len()).collect();
            order.sort_by(|left, right| pairs[*right].2.total_cmp(&pairs[*left].2));
            order[..limit].iter().map(|at| pairs[*at]).collect()
        }
        _ => pairs.clone(),
    };
    // Proposals in the order of patches, and the first of those that most agree with.
    let mut patches = Vec::new();
    let mut first = 0;
    for patch in correspondences.chunk_by(|left, right| left.patch == right.patch) {
        if patch.len() >= config.correspondence_threshold {
            patches.push(first..first + patch.len());
        }
        first += patch.len();
    }
    let proposals: Vec<(usize, Motion)> = patches
        .into_par_iter()
        .filter_map(|patch| solved(&pairs[patch]))
        .map(|motion| (verified.iter().filter(|pair| agrees(&motion, pair)).count(), motion))
        .collect();
    let best = proposals.iter().rev().max_by_key(|(agreeing, _)| *agreeing);
    let mut motion = match best {
        Some((_, motion)) => *motion,
        None => solved(&verified)?,
    };
    for _ in 0..config.num_refinement_steps {
        let agreeing: Vec<_> = verified.iter().filter(|pair| agrees(&motion, pair)).copied().collect();
        // Where too few agree the last motion stands.
        let Some(better) = solved(&agreeing) else { break };
        motion = better;
    }
    let agreeing = verified.iter().filter(|pair| agrees(&motion, pair)).count();
    Some(Found { motion, agreeing, proposed: proposals.len() })
}
