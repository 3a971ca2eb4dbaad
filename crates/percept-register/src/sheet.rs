//! A cloud made ready: thinned, with a tree and the surface at every point.

use nalgebra::{Matrix3, Vector3};
use percept_core::register::PointCloud;
use rayon::prelude::*;

use crate::surface;
use crate::tree::Tree;
use crate::voxel::{self, Voxels};

/// A cloud about its middle, in no order that matters.
pub(crate) struct Whole {
    /// The middle of its box, in the cloud's local coordinates.
    pub(crate) middle: Vector3<f64>,
    /// Points less `middle`.
    pub(crate) points: Vec<Vector3<f64>>,
    /// Brightness, 0 to 1.
    pub(crate) shade: Option<Vec<f64>>,
    /// Normals of the file.
    pub(crate) facing: Option<Vec<Vector3<f64>>>,
    /// Of the box.
    pub(crate) diagonal: f64,
}

impl Whole {
    pub(crate) fn new(cloud: &PointCloud) -> Self {
        let (low, high) = cloud.bounds().unwrap_or_default();
        let (low, high) = (Vector3::from(low), Vector3::from(high));
        let middle = (low + high) / 2.0;
        let points = cloud.points.iter().map(|point| Vector3::from(*point) - middle).collect();
        let shade =
            cloud.colors.as_ref().map(|colors| colors.iter().map(|color| brightness(*color)).collect());
        let facing = cloud.normals.as_ref();
        let facing =
            facing.map(|normals| normals.iter().map(|normal| Vector3::from(normal.map(f64::from))).collect());
        Self { middle, points, shade, facing, diagonal: (high - low).norm() }
    }

    /// One point a voxel, or all of them where `voxel` is 0.
    pub(crate) fn thinned(&self, voxel: f64) -> Voxels {
        if voxel > 0.0 {
            voxel::voxels(&self.points, self.shade.as_deref(), voxel)
        } else {
            voxel::sorted(&self.points, self.shade.as_deref(), self.diagonal)
        }
    }
}

fn brightness([red, green, blue]: [u16; 3]) -> f64 {
    (f64::from(red) + f64::from(green) + f64::from(blue)) / (3.0 * 65_535.0)
}

/// Points with their surface.
pub(crate) struct Sheet {
    pub(crate) points: Vec<Vector3<f64>>,
    /// Of length 1 and no certain sign, or zero.
    pub(crate) normals: Vec<Vector3<f64>>,
    pub(crate) shade: Option<Vec<f64>>,
    /// How brightness changes along the surface; empty without colours.
    pub(crate) slope: Vec<Vector3<f64>>,
    pub(crate) tree: Tree,
}

impl Sheet {
    /// Of thinned points; the surface is told by `neighbors` nearest points.
    pub(crate) fn new(thinned: Voxels, neighbors: usize) -> Self {
        let Voxels { points, values } = thinned;
        let tree = Tree::new(&points);
        let normals = surface::normals(&points, &tree, neighbors);
        let shade = (!values.is_empty()).then_some(values);
        let slope = match &shade {
            Some(shade) => slopes(&points, &normals, shade, &tree, neighbors),
            None => Vec::new(),
        };
        Self { points, normals, shade, slope, tree }
    }

    /// Gives normals the side that those of the file have nearby, where it has any.
    pub(crate) fn face(&mut self, whole: &Whole) {
        let Some(facing) = &whole.facing else { return };
        let nearest =
            |point: &Vector3<f64>| self.tree.nearest(point, f32::MAX).map_or(0, |found| found.index as usize);
        let at: Vec<usize> = whole.points.par_iter().map(nearest).collect();
        let mut votes = vec![0_i32; self.len()];
        for (at, normal) in at.into_iter().zip(facing) {
            let along = self.normals[at].dot(normal);
            votes[at] += if along < 0.0 { -1 } else { i32::from(along > 0.0) };
        }
        for (normal, vote) in self.normals.iter_mut().zip(votes) {
            if vote < 0 {
                *normal = -*normal;
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }

    /// The mean, summed in the order of the points, which does not depend on the file.
    pub(crate) fn mean(&self) -> Vector3<f64> {
        self.points.iter().sum::<Vector3<f64>>() / (self.len().max(1) as f64)
    }
}

/// Slope of the brightness in the plane of each point, by least squares over its neighbours (Park et al. 2017).
fn slopes(
    points: &[Vector3<f64>],
    normals: &[Vector3<f64>],
    shade: &[f64],
    tree: &Tree,
    neighbors: usize,
) -> Vec<Vector3<f64>> {
    tree.neighbors_of_all(neighbors, |index, near| {
        let normal = normals[index];
        let mut squares = normal * normal.transpose() * near.len() as f64;
        let mut sum = Vector3::zeros();
        let mut reach = 0.0;
        for neighbor in near {
            let at = neighbor.index as usize;
            let along = points[at] - points[index];
            let along = along - normal * normal.dot(&along);
            squares += along * along.transpose();
            sum += along * (shade[at] - shade[index]);
            reach += along.norm_squared();
        }
        // A little stiffness: neighbours on a line tell no slope across it.
        squares += Matrix3::identity() * (reach * 1e-6).max(f64::MIN_POSITIVE);
        squares.cholesky().map_or(Vector3::zeros(), |factor| factor.solve(&sum))
    })
}
