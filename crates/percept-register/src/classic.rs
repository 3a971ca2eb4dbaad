//! Registration without weights: search, refinement, judgement.

use std::time::Instant;

use percept_core::register::{
    Doubt, Fine, PointCloud, RegisterInput, RegisterOptions, Registration, Search, Start, Transform,
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

/// Where the refinement begins, and what is known of it.
pub(crate) struct Beginning {
    pub(crate) motion: Motion,
    pub(crate) known: Known,
    pub(crate) search: Option<Search>,
    pub(crate) doubts: Vec<Doubt>,
    /// What of the clouds lies on surfaces, where the search had to ask.
    pub(crate) flat: Option<[Whole; 2]>,
}

/// Two clouds about their middles.
pub(crate) struct Pair<'a> {
    pub(crate) input: &'a RegisterInput,
    pub(crate) source: Whole,
    pub(crate) target: Whole,
}

impl Pair<'_> {
    /// A transform of local coordinates in working ones, which are counted from the middle of each cloud.
    pub(crate) fn working(&self, local: &Transform) -> Motion {
        Motion::from(&local.about_origins(self.source.middle.into(), self.target.middle.into()))
    }

    /// The same of a transform of the files' coordinates.
    pub(crate) fn working_of_files(&self, transform: &Transform) -> Motion {
        let (source, target) = (&self.input.source, &self.input.target);
        self.working(&transform.about_origins(source.origin, target.origin))
    }
}

fn register(input: &RegisterInput) -> Result<Predicted<Registration>> {
    register_from(input, |pair| Ok(begin(pair)))
}

fn begin(pair: &Pair<'_>) -> Beginning {
    let options = &pair.input.options;
    match &options.start {
        Start::Guess(guess) => guessed(pair, guess),
        Start::Anywhere | Start::Features | Start::Learned | Start::Sampled => {
            match search::search(&pair.source, &pair.target, options) {
                Ok(Searched { found, flat }) => Beginning {
                    motion: found.motion,
                    known: Known::Found(found.unit),
                    search: Some(found.search),
                    doubts: found.doubt.into_iter().collect(),
                    flat,
                },
                Err(agreeing) => Beginning {
                    doubts: vec![Doubt::FewMatches { found: agreeing, wanted: agree::LEAST }],
                    ..guessed(pair, &Transform::IDENTITY)
                },
            }
        }
    }
}

/// A start that somebody named, in the coordinates of the files.
pub(crate) fn guessed(pair: &Pair<'_>, guess: &Transform) -> Beginning {
    Beginning {
        motion: pair.working_of_files(guess),
        known: Known::Guessed,
        search: None,
        doubts: Vec::new(),
        flat: None,
    }
}

/// Finds a start by `begin`, refines it and judges what came of it.
pub(crate) fn register_from(
    input: &RegisterInput,
    begin: impl FnOnce(&Pair<'_>) -> Result<Beginning>,
) -> Result<Predicted<Registration>> {
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
    let pair = Pair { input, source: whole_source, target: whole_target };
    let before = pair.working_of_files(&Transform::IDENTITY);
    let prepared = began.elapsed();
    let Beginning { motion: start, known, search, doubts, flat } = begin(&pair)?;
    let (whole_source, whole_target) = (&pair.source, &pair.target);
    let mut refined = match (&flat, known) {
        // The search was not sure of itself: what lies anywhere in space, and what only one cloud has seen, would lead astray.
        (Some([source, target]), Known::Found(unit)) => {
            let mut plans = fine::plan(source, target, options, known);
            fine::narrow(&mut plans, unit, options);
            fine::refine(source, target, options, &plans, &start)
        }
        _ => {
            let plans = fine::plan(whole_source, whole_target, options, known);
            fine::refine(whole_source, whole_target, options, &plans, &start)
        }
    };
    if flat.is_some() {
        // The judgement is of all points.
        let Sheets { voxel, neighbors, .. } = refined.sheets;
        refined.sheets = fine::sheets_of(whole_source, whole_target, voxel, neighbors);
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
