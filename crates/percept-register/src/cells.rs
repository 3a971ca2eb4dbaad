//! The target as voxels with a mean and a covariance each (VGICP: Koide et al. 2021).

use std::collections::HashMap;

use nalgebra::{Matrix3, Vector3};

use crate::sheet::Sheet;

/// Occupied voxels.
pub(crate) struct Cells {
    size: f64,
    at: HashMap<[i64; 3], usize>,
    means: Vec<Vector3<f64>>,
    covariances: Vec<Matrix3<f64>>,
}

impl Cells {
    /// Of the points of `sheet` in cubes of `size`: means of their places and of the covariances of their surfaces.
    pub(crate) fn new(sheet: &Sheet, size: f64) -> Self {
        let mut cells = Self { size, at: HashMap::new(), means: Vec::new(), covariances: Vec::new() };
        let mut counts: Vec<f64> = Vec::new();
        for (point, normal) in sheet.points.iter().zip(&sheet.normals) {
            let next = cells.means.len();
            let at = *cells.at.entry(cells.cube(point)).or_insert(next);
            if at == next {
                cells.means.push(Vector3::zeros());
                cells.covariances.push(Matrix3::zeros());
                counts.push(0.0);
            }
            cells.means[at] += point;
            cells.covariances[at] += Matrix3::identity() - normal * normal.transpose() * (1.0 - 1e-3);
            counts[at] += 1.0;
        }
        for ((mean, covariance), count) in cells.means.iter_mut().zip(&mut cells.covariances).zip(counts) {
            *mean /= count;
            *covariance /= count;
        }
        cells
    }

    fn cube(&self, point: &Vector3<f64>) -> [i64; 3] {
        [0, 1, 2].map(|axis| (point[axis] / self.size).floor() as i64)
    }

    /// The voxel that a place lies in, if it is occupied.
    pub(crate) fn holding(&self, place: &Vector3<f64>) -> Option<usize> {
        self.at.get(&self.cube(place)).copied()
    }

    pub(crate) fn mean(&self, at: usize) -> Vector3<f64> {
        self.means[at]
    }

    pub(crate) fn covariance(&self, at: usize) -> Matrix3<f64> {
        self.covariances[at]
    }
}
