//! What the network sees of two clouds: key points on surfaces, their features, the patch around each, and super-points.

use nalgebra::Vector3;
use percept_core::register::PointCloud;
use rayon::join;
use rayon::prelude::*;

use super::network::Given;
use crate::feature::{self, LENGTH, Sides};
use crate::fine::spacing_of;
use crate::motion::Scaled;
use crate::sheet::{Sheet, Whole};
use crate::surface;
use crate::tree::Tree;
use crate::voxel::{self, Voxels};

/// Points that are asked how flat the surface around them is; more are thinned to as many first.
const ASKED: usize = 30_000;
/// Neighbours that tell it, and the most that the smallest eigenvalue may be of all three. Points that lie anywhere in a
/// volume have 0.1 to 0.3.
const FLAT_NEIGHBORS: usize = 16;
const FLAT: f64 = 0.1;
/// The share of the points that is kept, the flattest, even where fewer are flat: leaves of trees are a cloud too.
const LEAST_KEPT: f64 = 0.25;
/// Key points.
const WANTED: usize = 2_500;
/// Neighbours that tell the surface at a key point; how far a feature looks, in units, and at how many neighbours at most.
const NEIGHBORS: usize = 20;
const FEATURE: (f64, usize) = (5.0, 100);
/// Cubes from each of which a super-point comes, where it has this many key points.
const CUBES: usize = 320;
const LEAST_IN_CUBE: usize = 3;
/// The radius of a patch, in units, and its key points.
pub(super) const PATCH_RADIUS: f64 = 7.0;
pub(super) const PATCH: usize = 32;

/// One cloud, as the network sees it.
pub struct Seen {
    /// Key points about the middle of the cloud's box, in the cloud's unit, with their surface.
    pub(crate) sheet: Sheet,
    /// FPFH of each, whatever sides the file's normals have.
    pub(crate) features: Vec<[f32; LENGTH]>,
    /// Its unit of length: the size of the voxels of its key points.
    pub unit: f64,
    /// Super-points: which key points they are.
    pub nodes: Vec<u32>,
}

impl Seen {
    /// Key points in the cloud's own coordinates are not kept: `middle` is what these are counted from.
    pub fn points(&self) -> &[Vector3<f64>] {
        &self.sheet.points
    }

    /// Of length 1 and no certain sign, or zero.
    pub fn normals(&self) -> &[Vector3<f64>] {
        &self.sheet.normals
    }

    /// FPFH.
    pub fn features(&self) -> &[[f32; LENGTH]] {
        &self.features
    }

    /// As numbers for the network.
    pub(super) fn given(&self) -> Given {
        let single = |vectors: &[Vector3<f64>]| {
            vectors.iter().map(|vector| std::array::from_fn(|axis| vector[axis] as f32)).collect()
        };
        Given {
            points: single(&self.sheet.points),
            normals: single(&self.sheet.normals),
            features: self.features.clone(),
            nodes: self.nodes.clone(),
            patches: patches(&self.sheet),
        }
    }
}

/// Two clouds as the network sees them, and the middles of their boxes that key points are counted from.
pub fn see(source: &PointCloud, target: &PointCloud) -> ([Seen; 2], [Vector3<f64>; 2]) {
    let (source, target) = join(|| Whole::new(source), || Whole::new(target));
    let middles = [source.middle, target.middle];
    let (source, target) = join(|| flat(&source), || flat(&target));
    (seen([&source, &target], Scaled::No), middles)
}

/// Both clouds, with one unit unless sizes may differ. They have been made [`flat`].
pub(crate) fn seen([source, target]: [&Whole; 2], scaled: Scaled) -> [Seen; 2] {
    let (own, unit) = join(|| unit(source), || unit(target));
    let [own, unit] = scaled.units(own, unit);
    let (source, target) = join(|| Seen::new(source, own), || Seen::new(target, unit));
    [source, target]
}

/// The points that lie on surfaces: what is anywhere in space would take most of the voxels.
pub(crate) fn flat(whole: &Whole) -> Whole {
    let many = whole.points.len() > ASKED;
    let size = if many { voxel::size_for(&whole.points, whole.diagonal, ASKED) } else { 0.0 };
    let Voxels { points, values } = whole.thinned(size);
    let tree = Tree::new(&points);
    let variations = surface::variations(&points, &tree, FLAT_NEIGHBORS);
    let least = (points.len() as f64 * LEAST_KEPT) as usize;
    let mut sorted = variations.clone();
    let bound = match sorted.len() {
        0 => FLAT,
        count => sorted.select_nth_unstable_by(least.min(count - 1), f64::total_cmp).1.max(FLAT),
    };
    let kept = |at: &usize| variations[*at] <= bound;
    let shade = values.iter().enumerate().filter(|(at, _)| kept(at)).map(|(_, value)| *value).collect();
    let points = points.iter().enumerate().filter(|(at, _)| kept(at)).map(|(_, point)| *point).collect();
    Whole {
        middle: whole.middle,
        points,
        shade: whole.shade.is_some().then_some(shade),
        facing: None,
        diagonal: whole.diagonal,
    }
}

/// The size of voxels that suits a cloud; where it has few points, what lies between them.
fn unit(whole: &Whole) -> f64 {
    if whole.points.len() > WANTED {
        return voxel::round(voxel::size_for(&whole.points, whole.diagonal, WANTED));
    }
    2.0 * spacing_of(&Sheet::new(whole.thinned(0.0), NEIGHBORS))
}

impl Seen {
    fn new(whole: &Whole, unit: f64) -> Self {
        let unit = if unit > 0.0 { unit } else { whole.diagonal.max(f64::MIN_POSITIVE) };
        let mut thinned = whole.thinned(unit);
        for point in &mut thinned.points {
            *point /= unit;
        }
        let sheet = Sheet::new(thinned, NEIGHBORS);
        let features = feature::features(&sheet.points, &sheet.normals, &sheet.tree, FEATURE, Sides::Unknown);
        let nodes = nodes(&sheet, whole.diagonal / unit);
        Self { sheet, features, unit, nodes }
    }
}

/// One of each cube that has some key points: the one nearest to their mean.
fn nodes(sheet: &Sheet, diagonal: f64) -> Vec<u32> {
    let size = voxel::size_for(&sheet.points, diagonal, CUBES).max(1.0);
    let means = voxel::voxels(&sheet.points, None, size).points;
    let tree = Tree::new(&means);
    let mut counts = vec![0_usize; means.len()];
    for point in &sheet.points {
        if let Some(nearest) = tree.nearest(point, f32::MAX) {
            counts[nearest.index as usize] += 1;
        }
    }
    let full = counts.iter().filter(|count| **count >= LEAST_IN_CUBE).count();
    let least = if 2 * full >= means.len() { LEAST_IN_CUBE } else { 1 };
    let chosen = means.iter().zip(&counts).filter(|(_, count)| **count >= least);
    let nearest = chosen.filter_map(|(mean, _)| sheet.tree.nearest(mean, f32::MAX));
    let mut nodes: Vec<u32> = nearest.map(|found| found.index).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

/// Key points around each, [`PATCH`] of them, evenly along the curve that they lie on in memory; where there are fewer, the
/// point itself over and over.
fn patches(sheet: &Sheet) -> Vec<u32> {
    let mut patches = vec![0; sheet.len() * PATCH];
    patches.par_chunks_mut(PATCH).zip(&sheet.points).enumerate().for_each_init(
        Vec::new,
        |found, (own, (patch, point))| {
            sheet.tree.within(point, PATCH_RADIUS, found);
            let own = own as u32;
            let mut around: Vec<u32> =
                found.iter().map(|neighbor| neighbor.index).filter(|index| *index != own).collect();
            around.sort_unstable();
            let count = around.len();
            for (place, at) in patch.iter_mut().enumerate() {
                *at = if count > PATCH {
                    around[place * count / PATCH]
                } else {
                    *around.get(place).unwrap_or(&own)
                };
            }
        },
    );
    patches
}
