//! A registration as JSON. Every number says what it is a number of: nothing is called "fitness".

use percept_core::register::{
    Doubt, Fit, FreeDirection, Level, Matching, Motion, Registration, Search, Transform,
};
use serde::Serialize;
use serde_json::{Value, json};

/// The `result` of a registration's envelope.
#[derive(Serialize)]
pub struct ResultRecord {
    /// Whether the transform is to be trusted.
    trusted: bool,
    /// Why not.
    reasons: Vec<String>,
    /// Source to target, in the coordinates of the files.
    transform: TransformRecord,
    /// Source to target, each less its origin.
    local: LocalRecord,
    fit: FitRecord,
    search: Option<SearchRecord>,
    levels: Vec<LevelRecord>,
    iterations: usize,
    converged: bool,
    covariance: Option<CovarianceRecord>,
    free: Vec<FreeRecord>,
}

#[derive(Serialize)]
struct TransformRecord {
    matrix: [[f64; 4]; 4],
    rotation: [[f64; 3]; 3],
    quaternion_xyzw: [f64; 4],
    translation: [f64; 3],
    scale: f64,
    angle_degrees: f64,
}

impl TransformRecord {
    fn new(transform: &Transform) -> Self {
        Self {
            matrix: transform.matrix(),
            rotation: transform.rotation,
            quaternion_xyzw: transform.quaternion(),
            translation: transform.translation,
            scale: transform.scale,
            angle_degrees: transform.angle_degrees(),
        }
    }
}

#[derive(Serialize)]
struct LocalRecord {
    source_origin: [f64; 3],
    target_origin: [f64; 3],
    matrix: [[f64; 4]; 4],
}

#[derive(Serialize)]
struct FitRecord {
    /// What the numbers below are over.
    correspondences: String,
    inlier_distance: f64,
    asked: usize,
    pairs: usize,
    rmse_before: f64,
    rmse_after: f64,
    plane_rmse_after: f64,
    inlier_ratio_of_source: f64,
    overlap_distance: f64,
    overlap_of_source: f64,
    overlap_of_target: f64,
}

impl FitRecord {
    fn new(fit: &Fit, level: Option<&Level>) -> Self {
        let asked = match level.map_or(0.0, |level| level.voxel) {
            0.0 => "every point of the source".to_owned(),
            voxel => format!("the mean of the source's points in each voxel of {voxel}"),
        };
        Self {
            correspondences: format!(
                "{asked}, with the nearest such point of the target, where that is at most inlier_distance away after \
                 the transform; rmse_before is of the same pairs, placed as in the files"
            ),
            inlier_distance: fit.inlier_distance,
            asked: fit.asked,
            pairs: fit.pairs,
            rmse_before: fit.rmse_before,
            rmse_after: fit.rmse_after,
            plane_rmse_after: fit.plane_rmse_after,
            inlier_ratio_of_source: fit.inlier_ratio,
            overlap_distance: fit.overlap_distance,
            overlap_of_source: fit.overlap_source,
            overlap_of_target: fit.overlap_target,
        }
    }
}

#[derive(Serialize)]
struct SearchRecord {
    matching: Matching,
    voxel: f64,
    source_points: usize,
    target_points: usize,
    matches: usize,
    agreeing: usize,
    tried: usize,
}

impl SearchRecord {
    fn new(search: &Search) -> Self {
        let Search { matching, voxel, source_points, target_points, matches, agreeing, tried } = *search;
        Self { matching, voxel, source_points, target_points, matches, agreeing, tried }
    }
}

#[derive(Serialize)]
struct LevelRecord {
    voxel: f64,
    max_distance: f64,
    source_points: usize,
    target_points: usize,
    pairs: usize,
    iterations: usize,
    converged: bool,
}

impl LevelRecord {
    fn new(level: &Level) -> Self {
        let Level { voxel, max_distance, source_points, target_points, pairs, iterations, converged } =
            *level;
        Self { voxel, max_distance, source_points, target_points, pairs, iterations, converged }
    }
}

#[derive(Serialize)]
struct CovarianceRecord {
    order: [&'static str; 6],
    matrix: [[f64; 6]; 6],
    standard_deviations: [f64; 6],
}

impl CovarianceRecord {
    fn new(matrix: &[[f64; 6]; 6]) -> Self {
        Self {
            order: ["rotation_x", "rotation_y", "rotation_z", "x", "y", "z"],
            matrix: *matrix,
            standard_deviations: std::array::from_fn(|at| matrix[at][at].max(0.0).sqrt()),
        }
    }
}

#[derive(Serialize)]
struct FreeRecord {
    motion: &'static str,
    axis: [f64; 3],
    through: [f64; 3],
    hold: f64,
    meaning: String,
}

impl FreeRecord {
    fn new(free: &FreeDirection, origin: [f64; 3]) -> Self {
        Self {
            motion: match free.motion {
                Motion::Translation => "translation",
                Motion::Rotation => "rotation",
            },
            axis: free.axis,
            through: std::array::from_fn(|axis| free.through[axis] + origin[axis]),
            hold: free.hold,
            meaning: meaning(free),
        }
    }
}

fn meaning(free: &FreeDirection) -> String {
    let [x, y, z] = free.axis;
    match free.motion {
        Motion::Translation => {
            format!("nothing holds the clouds along ({x:.3}, {y:.3}, {z:.3}), as in a corridor or on a plane")
        }
        Motion::Rotation => {
            format!(
                "nothing holds the clouds about the axis ({x:.3}, {y:.3}, {z:.3}), as on a cylinder or a plane"
            )
        }
    }
}

/// Why a transform is not to be trusted, a sentence each; empty when it is.
pub fn reasons(found: &Registration) -> Vec<String> {
    let reason = |doubt: &Doubt| match doubt {
        Doubt::FewInliers { ratio, wanted } => format!(
            "only {:.1}% of the source lies within {} of the target, and {:.0}% are the least that is trusted",
            100.0 * ratio,
            found.fit.inlier_distance,
            100.0 * wanted
        ),
        Doubt::FewMatches { found, wanted } => {
            format!("{found} feature matches agree on a motion, and {wanted} are the least that tell one")
        }
        Doubt::Ambiguous { ratio, degrees, distance } => format!(
            "another motion brings {:.0}% as many points together; it differs by {degrees:.1} degrees and by {distance:.3} \
             at the middle of the source",
            100.0 * ratio
        ),
        Doubt::Free => {
            let directions: Vec<String> = found.free.iter().map(meaning).collect();
            format!("{}; with a guess (--init) that part of it is kept", directions.join("; "))
        }
        Doubt::NotConverged => "the refinement did not come to rest".to_owned(),
    };
    found.doubts.iter().map(reason).collect()
}

impl ResultRecord {
    /// Of a registration.
    pub fn new(found: &Registration) -> Self {
        Self {
            trusted: found.trusted(),
            reasons: reasons(found),
            transform: TransformRecord::new(&found.in_files()),
            local: LocalRecord {
                source_origin: found.source_origin,
                target_origin: found.target_origin,
                matrix: found.transform.matrix(),
            },
            fit: FitRecord::new(&found.fit, found.levels.last()),
            search: found.search.as_ref().map(SearchRecord::new),
            levels: found.levels.iter().map(LevelRecord::new).collect(),
            iterations: found.levels.iter().map(|level| level.iterations).sum(),
            converged: found.converged,
            covariance: found.covariance.as_ref().map(CovarianceRecord::new),
            free: found.free.iter().map(|free| FreeRecord::new(free, found.target_origin)).collect(),
        }
    }
}

/// The result of many scans in one map.
#[derive(Serialize)]
pub struct SequenceRecord {
    scans: Vec<Value>,
}

impl SequenceRecord {
    /// Of scans with their paths and poses in the frame of the first, and of what each was registered onto the one before
    /// it; none for the first.
    pub fn new(scans: &[(String, Transform, Option<&Registration>)]) -> Self {
        let scan = |(path, pose, found): &(String, Transform, Option<&Registration>)| {
            json!({
                "path": path,
                "pose": TransformRecord::new(pose),
                "onto_previous": found.map(ResultRecord::new),
            })
        };
        Self { scans: scans.iter().map(scan).collect() }
    }
}
