//! Registration without weights: search, refinement, judgement.

use std::time::Instant;

use percept_core::register::{
    Doubt, Fine, PointCloud, RegisterInput, RegisterOptions, Registration, Start, Transform,
};
use percept_core::{
    Error, LocalModel, Model, Precision, Predicted, RawTensor, RawValues, Register, Result, Runtime, Timings,
};

use crate::agree;
use crate::fine::{self, Known, Sheets};
use crate::judge::{self, Judged};
use crate::motion::Motion;
use crate::search::{self, Searched};
use crate::sheet::Whole;

/// The methods without weights.
#[derive(Debug)]
struct Classic;

pub(crate) fn load(_files: &LocalModel, _runtime: &Runtime) -> Result<Box<dyn Model<Register>>> {
    Ok(Box::new(Classic))
}

impl Model<Register> for Classic {
    fn predict(&self, inputs: &[RegisterInput]) -> Result<Vec<Predicted<Registration>>> {
        inputs.iter().map(register).collect()
    }

    fn raw(&self, input: &RegisterInput) -> Result<Vec<RawTensor>> {
        let found = register(input)?.output;
        let points = |name: &str, cloud: &PointCloud| RawTensor {
            name: name.to_owned(),
            shape: vec![cloud.len(), 3],
            values: RawValues::F32(cloud.points.iter().flatten().map(|value| *value as f32).collect()),
        };
        let matrix = found.transform.matrix();
        Ok(vec![
            points("source_points", &input.source),
            points("target_points", &input.target),
            RawTensor {
                name: "transform".into(),
                shape: vec![4, 4],
                values: RawValues::F32(matrix.iter().flatten().map(|value| *value as f32).collect()),
            },
        ])
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }
}

fn register(input: &RegisterInput) -> Result<Predicted<Registration>> {
    let began = Instant::now();
    let RegisterInput { source, target, options } = input;
    check_options(options)?;
    for (cloud, name) in [(source, "source"), (target, "target")] {
        check(cloud).map_err(|what| Error::argument(format!("the {name} {what}")))?;
    }
    if options.fine == Fine::Color {
        for (cloud, name) in [(source, "source"), (target, "target")] {
            if cloud.colors.is_none() {
                return Err(Error::Argument {
                    message: format!("the {name} has no colours, which `color` needs"),
                    hint: Some("use `gicp`, which needs none".into()),
                });
            }
        }
    }
    let (whole_source, whole_target) = rayon::join(|| Whole::new(source), || Whole::new(target));
    // Working coordinates are counted from the middle of each cloud.
    let to_working = |transform: &Transform| {
        let local = transform.about_origins(source.origin, target.origin);
        let middle = |whole: &Whole| whole.middle.into();
        Motion::from(&local.about_origins(middle(&whole_source), middle(&whole_target)))
    };
    let before = to_working(&Transform::IDENTITY);
    let prepared = began.elapsed();
    let mut doubts = Vec::new();
    let mut flat = None;
    let (start, known, search) = match &options.start {
        Start::Guess(guess) => (to_working(guess), Known::Guessed, None),
        Start::Anywhere | Start::Features | Start::Learned | Start::Sampled => {
            match search::search(&whole_source, &whole_target, options) {
                Ok(Searched { found, flat: surfaces }) => {
                    flat = surfaces;
                    doubts.extend(found.doubt);
                    (found.motion, Known::Found(found.unit), Some(found.search))
                }
                Err(agreeing) => {
                    doubts.push(Doubt::FewMatches { found: agreeing, wanted: agree::LEAST });
                    (before, Known::Guessed, None)
                }
            }
        }
    };
    let mut refined = match (&flat, known) {
        // The search was not sure of itself: what lies anywhere in space, and what only one cloud has seen, would lead astray.
        (Some([source, target]), Known::Found(unit)) => {
            let mut plans = fine::plan(source, target, options, known);
            fine::narrow(&mut plans, unit, options);
            fine::refine(source, target, options, &plans, &start)
        }
        _ => {
            let plans = fine::plan(&whole_source, &whole_target, options, known);
            fine::refine(&whole_source, &whole_target, options, &plans, &start)
        }
    };
    if flat.is_some() {
        // The judgement is of all points.
        let Sheets { voxel, neighbors, .. } = refined.sheets;
        refined.sheets = fine::sheets_of(&whole_source, &whole_target, voxel, neighbors);
    }
    let modeled = began.elapsed();
    let sheets = &refined.sheets;
    let usual = if sheets.voxel > 0.0 { sheets.voxel } else { 2.0 * sheets.spacing };
    let inlier_distance = options.inlier_distance.unwrap_or(usual);
    let Judged { fit, covariance, free } =
        judge::judge(sheets, &refined.motion, &before, inlier_distance, &whole_target.middle);
    let local = Transform::from(&refined.motion)
        .between_origins(whole_source.middle.into(), whole_target.middle.into());
    let converged = refined.levels.last().is_none_or(|level| level.converged);
    let mut found = Registration {
        transform: local,
        source_origin: source.origin,
        target_origin: target.origin,
        doubts,
        fit,
        search,
        levels: refined.levels,
        converged,
        covariance,
        free,
    };
    doubt(&mut found, options);
    let milliseconds = |duration: std::time::Duration| duration.as_secs_f64() * 1e3;
    let timings = Timings {
        prepare: milliseconds(prepared),
        model: milliseconds(modeled - prepared),
        finish: milliseconds(began.elapsed() - modeled),
        ..Timings::default()
    };
    Ok(Predicted { output: found, timings })
}

/// The least share of the source that has to meet the target.
const LEAST_INLIERS: f64 = 0.1;

fn doubt(found: &mut Registration, options: &RegisterOptions) {
    if found.fit.inlier_ratio < LEAST_INLIERS {
        let ratio = found.fit.inlier_ratio;
        found.doubts.push(Doubt::FewInliers { ratio, wanted: LEAST_INLIERS });
    }
    if !found.free.is_empty() && !matches!(options.start, Start::Guess(_)) {
        found.doubts.push(Doubt::Free);
    }
    if !found.converged {
        found.doubts.push(Doubt::NotConverged);
    }
}

fn check_options(options: &RegisterOptions) -> Result<()> {
    let positive = |value: Option<f64>| value.is_none_or(|value| value > 0.0 && value.is_finite());
    if !positive(options.max_distance) || !positive(options.inlier_distance) {
        return Err(Error::argument("distances are larger than 0"));
    }
    if options.voxels.iter().any(|voxel| !(*voxel >= 0.0 && voxel.is_finite())) {
        return Err(Error::argument("sizes of voxels are 0 or larger"));
    }
    if options.voxels.windows(2).any(|pair| pair[0] < pair[1]) {
        return Err(Error::argument("sizes of voxels go from coarse to fine"));
    }
    if options.trim.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
        return Err(Error::argument("the share of pairs lies above 0 and up to 1"));
    }
    Ok(())
}

/// Refuses a cloud that no motion can be told from.
///
/// # Errors
/// What is wrong, in words that finish "the cloud …".
pub fn check(cloud: &PointCloud) -> Result<(), String> {
    let Some((low, high)) = cloud.bounds() else { return Err("has no points".into()) };
    if cloud.len() < 3 {
        let count = cloud.len();
        return Err(format!(
            "has only {count} point{}, and three are the least that tell a motion",
            if count == 1 { "" } else { "s" }
        ));
    }
    let diagonal = (0..3).map(|axis| (high[axis] - low[axis]).powi(2)).sum::<f64>().sqrt();
    if diagonal <= 0.0 {
        return Err("has all its points at one place".into());
    }
    if crate::surface::on_a_line(&cloud.points, diagonal) {
        return Err("has all its points on one line".into());
    }
    Ok(())
}
