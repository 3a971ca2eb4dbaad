//! Two clouds at several densities, and which points of one density are near those of another
//! (`geotransformer/utils/data.py`, `precompute_data_stack_mode`, and the extension that it calls).
//!
//! Points of both clouds lie in one list, the target's first: the norms of the network are over both.

use nalgebra::Vector3;
use percept_core::{Error, Result};
use rayon::prelude::*;

use super::configuration::Backbone;
use crate::tree::{Neighbor, Tree};

/// The share of neighbourhoods that a limit takes whole where it is settled from the data, as in
/// `calibrate_neighbors_stack_mode`.
const KEPT: f64 = 0.8;
/// The most numbers of neighbours in a table: 1 GB of it.
const MOST_NEIGHBORS: usize = 1 << 28;

/// No point.
pub(super) const NONE: u32 = u32::MAX;

/// Neighbours of each query, nearest first, in rows of one width; what a query has fewer is [`NONE`].
#[derive(Clone, Debug)]
pub(super) struct Near {
    pub(super) indices: Vec<u32>,
    pub(super) width: usize,
}

impl Near {
    pub(super) fn rows(&self) -> impl IndexedParallelIterator<Item = &[u32]> {
        self.indices.par_chunks(self.width)
    }
}

/// Points of both clouds at one density.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) points: Vec<[f32; 3]>,
    /// How many of them are the target's.
    pub(super) split: usize,
    /// Neighbours of these points among themselves.
    pub(super) neighbors: Near,
    /// Neighbours of these points among those of the stage before; none at the first.
    pub(super) finer: Option<Near>,
    /// The nearest of these points for each one of the stage before, [`NONE`] where none is near; empty at the first.
    pub(super) parent: Vec<u32>,
}

impl Stage {
    /// The target's points and the source's.
    pub(super) fn clouds(&self) -> [&[[f32; 3]]; 2] {
        let (target, source) = self.points.split_at(self.split);
        [target, source]
    }
}

/// Both clouds at one density with a tree for each.
struct Level {
    clouds: [Vec<[f32; 3]>; 2],
    trees: [Tree; 2],
}

impl Level {
    fn new(clouds: [Vec<[f32; 3]>; 2]) -> Self {
        let tree = |points: &[[f32; 3]]| Tree::new(&points.iter().map(place).collect::<Vec<_>>());
        let (target, source) = rayon::join(|| tree(&clouds[0]), || tree(&clouds[1]));
        Self { clouds, trees: [target, source] }
    }
}

pub(super) fn place(point: &[f32; 3]) -> Vector3<f64> {
    Vector3::new(point[0], point[1], point[2]).map(f64::from)
}

/// All stages of two clouds, dense to sparse; the first one's points are those that are given.
///
/// # Errors
/// Neighbourhoods hold more points than fit into memory.
pub(super) fn pyramid(clouds: [Vec<[f32; 3]>; 2], config: &Backbone) -> Result<Vec<Stage>> {
    let mut levels = vec![Level::new(clouds)];
    let mut voxel = config.init_voxel_size;
    for _ in 1..config.num_stages {
        voxel *= 2.0;
        let before = &levels[levels.len() - 1].clouds;
        levels.push(Level::new([0, 1].map(|cloud| subsampled(&before[cloud], voxel as f32))));
    }
    let mut stages: Vec<Stage> = Vec::with_capacity(levels.len());
    let mut radius = config.init_radius();
    let mut limits: Vec<usize> = Vec::new();
    for (at, level) in levels.iter().enumerate() {
        let mut own = search(level, level, radius as f32)?;
        let limit = config.neighbor_limits.as_ref().map_or_else(|| calibrated(&own), |limits| limits[at]);
        limits.push(limit);
        let (finer, parent) = match at.checked_sub(1) {
            None => (None, Vec::new()),
            Some(before) => {
                let finer =
                    table(&mut search(level, &levels[before], (radius / 2.0) as f32)?, limits[before])?;
                (Some(finer), nearest(&levels[before], level, radius as f32))
            }
        };
        stages.push(Stage {
            points: level.clouds.concat(),
            split: level.clouds[0].len(),
            neighbors: table(&mut own, limit)?,
            finer,
            parent,
        });
        radius *= 2.0;
    }
    Ok(stages)
}

/// The mean of the points in each cube of a grid through zero (`single_grid_subsampling_cpu`), in the order of the cubes:
/// unlike the extension's hash table, the same for the same points.
pub(super) fn subsampled(points: &[[f32; 3]], voxel: f32) -> Vec<[f32; 3]> {
    let lowest = |axis: usize| points.iter().map(|point| point[axis]).fold(f32::INFINITY, f32::min);
    // The arithmetic of the extension to the last bit, here and in the mean: it says which cube a point on a face belongs to,
    // also at the next stage.
    let per_unit = (1.0 / f64::from(voxel)) as f32;
    let corner: [f32; 3] = std::array::from_fn(|axis| (lowest(axis) * per_unit).floor() * voxel);
    let cube = |point: &[f32; 3]| -> [i64; 3] {
        std::array::from_fn(|axis| ((point[axis] - corner[axis]) / voxel).floor() as i64)
    };
    let mut order: Vec<([i64; 3], u32)> =
        points.par_iter().enumerate().map(|(at, point)| (cube(point), at as u32)).collect();
    order.par_sort_unstable();
    let mean = |cube: &[([i64; 3], u32)]| {
        let mut sum = [0.0_f32; 3];
        for (_, at) in cube {
            let point = points[*at as usize];
            (0..3).for_each(|axis| sum[axis] += point[axis]);
        }
        let share = (1.0 / cube.len() as f64) as f32;
        sum.map(|sum| sum * share)
    };
    order.chunk_by(|left, right| left.0 == right.0).map(mean).collect()
}

/// All neighbours of each query closer than `radius`, nearest first, each within its own cloud; indices count on from the
/// target's points to the source's.
fn search(queries: &Level, supports: &Level, radius: f32) -> Result<Vec<Vec<Neighbor>>> {
    let squared = radius * radius;
    // The tree's own limit is rounded elsewhere.
    let reach = f64::from(radius) * (1.0 + 1e-6);
    let mut all = Vec::new();
    let mut first = 0;
    for cloud in 0..2 {
        let near = |point: &[f32; 3]| {
            let mut found = Vec::new();
            supports.trees[cloud].within(&place(point), reach, &mut found);
            found.retain(|neighbor| neighbor.squared < squared);
            found.sort_unstable_by(|left, right| {
                left.squared.total_cmp(&right.squared).then(left.index.cmp(&right.index))
            });
            found.iter_mut().for_each(|neighbor| neighbor.index += first);
            found.shrink_to_fit();
            found
        };
        let found: Vec<_> = queries.clouds[cloud].par_iter().map(near).collect();
        all.extend(found);
        if all.iter().map(Vec::len).sum::<usize>() > MOST_NEIGHBORS / 4 {
            return Err(crowded());
        }
        first += supports.clouds[cloud].len() as u32;
    }
    Ok(all)
}

fn crowded() -> Error {
    Error::Argument {
        message: "too many points lie within the model's radius of each other".into(),
        hint: Some(
            "its lengths are metres where the clouds' may not be: see `unit` in docs/register.md".into(),
        ),
    }
}

/// A limit that takes most neighbourhoods whole.
fn calibrated(found: &[Vec<Neighbor>]) -> usize {
    let mut counts: Vec<usize> = found.iter().map(Vec::len).collect();
    counts.sort_unstable();
    // The number of counts whose cumulative share is below what is kept, as the authors' histogram has it.
    let at = ((KEPT * counts.len() as f64).ceil() as usize).clamp(1, counts.len().max(1)) - 1;
    counts.get(at).copied().unwrap_or(1).max(1)
}

fn table(found: &mut [Vec<Neighbor>], limit: usize) -> Result<Near> {
    let longest = found.iter().map(Vec::len).max().unwrap_or(0);
    let width = longest.min(limit).max(1);
    if width.saturating_mul(found.len()) > MOST_NEIGHBORS {
        return Err(crowded());
    }
    let mut indices = vec![NONE; width * found.len()];
    for (row, found) in indices.chunks_exact_mut(width).zip(found) {
        row.iter_mut().zip(found).for_each(|(index, neighbor)| *index = neighbor.index);
    }
    Ok(Near { indices, width })
}

/// The nearest support of each query within `radius`.
fn nearest(queries: &Level, supports: &Level, radius: f32) -> Vec<u32> {
    let squared = radius * radius;
    let mut all = Vec::new();
    let mut first = 0;
    for cloud in 0..2 {
        let one = |point: &[f32; 3]| {
            let found = supports.trees[cloud].nearest(&place(point), squared);
            found.filter(|found| found.squared < squared).map_or(NONE, |found| found.index + first)
        };
        all.par_extend(queries.clouds[cloud].par_iter().map(one));
        first += supports.clouds[cloud].len() as u32;
    }
    all
}
