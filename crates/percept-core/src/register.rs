//! Two point clouds to the rigid motion that takes one onto the other: what goes in and what comes out.
//!
//! A transform takes SOURCE to TARGET. "Local" coordinates are counted from a cloud's own origin
//! ([`crate::cloud::PointCloud::origin`]). Lengths are in the clouds' unit, angles in radians unless a name says degrees.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::cloud::{Attribute, Element, PointCloud, Scalar, Values};
pub use crate::transform::Transform;

/// Two clouds and how they are to be brought together.
#[derive(Clone, Debug)]
pub struct RegisterInput {
    /// What is moved.
    pub source: Arc<PointCloud>,
    /// What it is moved onto.
    pub target: Arc<PointCloud>,
    /// How.
    pub options: Arc<RegisterOptions>,
}

/// How two clouds are brought together. What is absent is settled from the data.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct RegisterOptions {
    /// Where the search begins.
    pub start: Start,
    /// What a start is refined by.
    pub fine: Fine,
    /// What takes the weight of bad pairs.
    pub kernel: Kernel,
    /// The share of pairs, best first, that counts; all when absent. For clouds that overlap in part.
    pub trim: Option<f64>,
    /// Sizes of voxels, coarse to fine; 0 is every point. From the data when empty.
    pub voxels: Vec<f64>,
    /// Beyond what two points are no pair in the last step.
    pub max_distance: Option<f64>,
    /// The most steps of the refinement at one size of voxels.
    pub max_iterations: Option<usize>,
    /// Neighbours that tell the surface at a point.
    pub neighbors: Option<usize>,
    /// Below what a point counts as met, in what is reported and judged.
    pub inlier_distance: Option<f64>,
    /// Whether sizes may differ.
    pub size: Size,
    /// What may not change.
    pub locked: Locked,
}

/// Where the search begins.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Start {
    /// Anywhere: features are matched and a robust solver finds what most of them agree on; where that does not convince, a
    /// network matches too, and what brings the clouds together best is the answer.
    #[default]
    Anywhere,
    /// The same with features only.
    Features,
    /// The same with the network only.
    Learned,
    /// With features, and random samples for a solver (RANSAC).
    Sampled,
    /// A guess, in the coordinates of the files.
    Guess(Transform),
}

/// What a start is refined by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fine {
    /// Distances between surfaces, both with their own uncertainty (Segal et al. 2009).
    #[default]
    Gicp,
    /// The same against voxels of the target (Koide et al. 2021).
    Vgicp,
    /// Distances to the target's planes (Chen and Medioni 1991).
    Plane,
    /// Distances between points (Besl and McKay 1992).
    Point,
    /// Distances to the target's planes, and colours (Park et al. 2017).
    Color,
    /// Nothing: the start is the answer.
    None,
}

impl Fine {
    /// All of them with their names.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("gicp", Self::Gicp),
        ("vgicp", Self::Vgicp),
        ("plane", Self::Plane),
        ("point", Self::Point),
        ("color", Self::Color),
        ("none", Self::None),
    ];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, fine)| *fine == self).map_or("", |(name, _)| name)
    }
}

/// What takes the weight of bad pairs. The number is where it begins, as a length: of the distance between points, to a
/// plane, or along the normal.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Kernel {
    /// Nothing: all pairs within the largest distance weigh the same.
    #[default]
    None,
    /// `c / r` beyond `c`.
    Huber(f64),
    /// `(c^2 / (c^2 + r^2))^2`.
    GemanMcClure(f64),
    /// `(1 - (r/c)^2)^2` up to `c`, then nothing.
    Tukey(f64),
}

/// Whether sizes may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Size {
    /// They are the same: a rigid motion.
    #[default]
    Same,
    /// One scale is estimated.
    Estimated,
}

/// Degrees of freedom that stay as the start has them, in the axes of the target. A locked translation is that of the
/// middle of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Locked {
    /// Turns about x, y, z.
    pub rotation: [bool; 3],
    /// Shifts along x, y, z.
    pub translation: [bool; 3],
}

impl Locked {
    /// Whether anything is.
    pub fn any(&self) -> bool {
        self.rotation.iter().chain(&self.translation).any(|locked| *locked)
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// Source to target, in local coordinates of both.
    pub transform: Transform,
    /// What the source's local coordinates are counted from.
    pub source_origin: [f64; 3],
    /// What the target's local coordinates are counted from.
    pub target_origin: [f64; 3],
    /// Why the transform is not to be trusted; empty when it is.
    pub doubts: Vec<Doubt>,
    /// How well the clouds meet.
    pub fit: Fit,
    /// What the search without a guess saw; none where a guess was given.
    pub search: Option<Search>,
    /// What the refinement did, coarse to fine.
    pub levels: Vec<Level>,
    /// Whether the last level came to rest within its steps; true where nothing was refined.
    pub converged: bool,
    /// Covariance of the turn about x, y, z of the target (radians) and the shift of the source's middle along x, y, z, from
    /// the last level's normal equations and its residuals. None where nothing was refined or a direction is free.
    pub covariance: Option<[[f64; 6]; 6]>,
    /// Directions in which the clouds do not hold each other.
    pub free: Vec<FreeDirection>,
}

impl Registration {
    /// The transform in the coordinates of the files.
    pub fn in_files(&self) -> Transform {
        self.transform.between_origins(self.source_origin, self.target_origin)
    }

    /// Whether the transform is to be trusted.
    pub fn trusted(&self) -> bool {
        self.doubts.is_empty()
    }
}

/// Why a transform is not to be trusted.
#[derive(Clone, Debug, PartialEq)]
pub enum Doubt {
    /// Fewer points of the source than this share met the target.
    FewInliers {
        /// Share of the source.
        ratio: f64,
        /// What is wanted.
        wanted: f64,
    },
    /// Too few matches agree on any motion.
    FewMatches {
        /// How many do.
        found: usize,
        /// How many would be needed.
        wanted: usize,
    },
    /// Another motion, that differs much, is as good.
    Ambiguous {
        /// Its share of met points over the best one's.
        ratio: f64,
        /// By what the two differ, in degrees.
        degrees: f64,
        /// By what the two differ at the middle of the source.
        distance: f64,
    },
    /// The search had no hold in a direction, and no guess says where in it the source lies.
    Free,
    /// The refinement did not come to rest.
    NotConverged,
}

/// How well two clouds meet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fit {
    /// Below what a point of the source counts as met: the distance to the nearest point of the target.
    pub inlier_distance: f64,
    /// Points of the source that were asked: those of the last level's voxels, or all where it had none.
    pub asked: usize,
    /// Pairs: points of the source that are met, each with its nearest point of the target.
    pub pairs: usize,
    /// Root of the mean squared distance of these pairs, as the transform puts them; 0 where there are none.
    pub rmse_after: f64,
    /// The same of the same pairs as the files have them.
    pub rmse_before: f64,
    /// Root of the mean squared distance of these pairs along the target's normals, as the transform puts them: unlike
    /// `rmse_after` it does not hold how far apart the points of a surface are. Pairs without a normal are left out.
    pub plane_rmse_after: f64,
    /// `pairs / asked`.
    pub inlier_ratio: f64,
    /// Share of the source that has target within `overlap_distance`.
    pub overlap_source: f64,
    /// Share of the target that has source within `overlap_distance`.
    pub overlap_target: f64,
    /// The distance of the two above; wider than the other one, so that different densities count less.
    pub overlap_distance: f64,
}

/// What takes key points of two clouds for the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Matching {
    /// Histograms of the surface around each (FPFH: Rusu et al. 2009).
    #[default]
    Fpfh,
    /// The network that comes with percept.
    Learned,
}

/// What the search without a guess saw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Search {
    /// What gave the matches of the motion that was chosen.
    pub matching: Matching,
    /// Size of its voxels.
    pub voxel: f64,
    /// Key points of the source.
    pub source_points: usize,
    /// Key points of the target.
    pub target_points: usize,
    /// Pairs of key points that take each other for the most similar.
    pub matches: usize,
    /// Of these, how many agree with the motion that was chosen.
    pub agreeing: usize,
    /// Motions that were tried on the clouds.
    pub tried: usize,
}

/// What the refinement did with one size of voxels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// The size; 0 where every point was taken.
    pub voxel: f64,
    /// Beyond what two points were no pair.
    pub max_distance: f64,
    /// Points of the source.
    pub source_points: usize,
    /// Points of the target.
    pub target_points: usize,
    /// Pairs in the last step.
    pub pairs: usize,
    /// Steps.
    pub iterations: usize,
    /// Whether it came to rest.
    pub converged: bool,
}

/// A direction in which two clouds do not hold each other: a corridor along its axis, a plane in itself, a cylinder about
/// its axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FreeDirection {
    /// What is free.
    pub motion: Motion,
    /// Along or about what, in the target's axes; of length 1.
    pub axis: [f64; 3],
    /// A point of the axis in the target's local coordinates.
    pub through: [f64; 3],
    /// The share of the squared movement of the points that goes along their normals: 0 where all slide along the surface.
    pub hold: f64,
}

/// A kind of motion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// A shift.
    Translation,
    /// A turn.
    Rotation,
}
