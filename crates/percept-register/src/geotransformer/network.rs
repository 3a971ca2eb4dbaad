//! From two clouds of prepared points to the motion between them (`model.py`, `GeoTransformer`).

use percept_backbone::{Result as EngineResult, Tensor, Weights, WeightsError, compute_error, l2_normalize};
use percept_core::{Error, Result};
use rayon::prelude::*;

use super::backbone::Backbone;
use super::configuration::Configuration;
use super::convolution::Rows;
use super::correspondences::{self, Correspondence, Found};
use super::patches::partition;
use super::pyramid::{Stage, pyramid};
use super::superpoints::{Pair, best_pairs};
use crate::geometric::{GeometricTransformer, MAX_POINTS, Transport, long_dot};

/// The least superpoints of a cloud: fewer have no neighbours to take angles to, and tell nothing.
const LEAST: usize = 4;

/// The network.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) config: Configuration,
    backbone: Backbone,
    transformer: GeometricTransformer,
    transport: Transport,
}

/// Everything on the way; clouds are the target, then the source.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) stages: Vec<Stage>,
    /// The stage whose points are matched.
    pub(super) fine: usize,
    /// Features of the fine stage's points, of both clouds.
    pub(super) fine_features: Rows,
    /// Features of the superpoints before the transformer.
    #[cfg_attr(not(test), expect(dead_code, reason = "for tests"))]
    pub(super) coarse_features: Rows,
    /// Of length 1, `[superpoints, channels]`.
    pub(super) superpoint_features: [Tensor; 2],
    /// By superpoint.
    pub(super) patches: [Vec<Vec<u32>>; 2],
    pub(super) pairs: Vec<Pair>,
    /// The logarithm of the plan of each pair of patches, dustbins last.
    pub(super) plans: Vec<Vec<f32>>,
    pub(super) correspondences: Vec<Correspondence>,
    /// None where correspondences tell no motion.
    pub(super) found: Option<Found>,
}

impl Network {
    pub(super) fn load(weights: &Weights, config: Configuration) -> Result<Self, WeightsError> {
        if config.backbone.fine_stage >= config.backbone.num_stages {
            return Err(WeightsError::Format("the points that are matched are the superpoints".into()));
        }
        Ok(Self {
            backbone: Backbone::load(&weights.at("backbone"), &config.backbone)?,
            transformer: GeometricTransformer::load(&weights.at("transformer"), &config.transformer)?,
            transport: Transport::load(&weights.at("optimal_transport"), config.num_sinkhorn_iterations)?,
            config,
        })
    }

    /// Of prepared points, the target's and the source's, in the model's unit.
    ///
    /// # Errors
    /// The clouds are too small or too large for the model's lengths.
    pub(super) fn run(&self, clouds: [Vec<[f32; 3]>; 2], model: &str) -> Result<Answer> {
        let stages = pyramid(clouds, &self.config.backbone)?;
        let Some(last) = stages.last() else { return Err(Error::argument("a network without stages")) };
        for (points, name) in last.clouds().into_iter().zip(["target", "source"]) {
            self.check(points.len(), name)?;
        }
        self.match_stages(stages).map_err(compute_error(model))
    }

    fn check(&self, count: usize, name: &str) -> Result<()> {
        let voxel =
            self.config.backbone.init_voxel_size * f64::from(1_u32 << (self.config.backbone.num_stages - 1));
        let message = match count {
            0..LEAST => format!(
                "the {name} has {count} superpoint{} for the model, which sees one a cube of {voxel:.3} of its units, \
                 and {LEAST} are the least that it tells apart",
                if count == 1 { "" } else { "s" }
            ),
            LEAST..=MAX_POINTS => return Ok(()),
            _ => format!(
                "the {name} has {count} superpoints for the model, which sees one a cube of {voxel:.3} of its units, \
                 and {MAX_POINTS} are the most that it compares"
            ),
        };
        Err(Error::Argument {
            message,
            hint: Some(
                "its lengths are those that it was trained with (3DMatch, KITTI: metres; ModelNet: shapes in a ball of radius \
                 1); where the clouds' differ, `unit` in the model's config.json says what one of theirs is"
                    .into(),
            ),
        })
    }

    fn match_stages(&self, stages: Vec<Stage>) -> EngineResult<Answer> {
        let config = &self.config;
        let fine = config.backbone.fine_stage - 1;
        let [fine_features, coarse_features] = self.backbone.forward(&stages)?;
        let (fine_stage, coarse_stage) = (&stages[fine], &stages[stages.len() - 1]);
        let (points, superpoints) = (fine_stage.clouds(), coarse_stage.clouds());
        let coarse = coarse_features.tensor()?;
        let parts = [
            coarse.narrow(0, 0, coarse_stage.split)?,
            coarse.narrow(0, coarse_stage.split, superpoints[1].len())?,
        ];
        let [target, source] = self.transformer.forward(superpoints, [&parts[0], &parts[1]])?;
        let superpoint_features = [l2_normalize(&target, 1e-12)?, l2_normalize(&source, 1e-12)?];
        let patches =
            [0, 1].map(|cloud| partition(points[cloud], superpoints[cloud], config.num_points_in_patch));
        let has = |cloud: usize| {
            patches[cloud].iter().map(|patch: &Vec<u32>| !patch.is_empty()).collect::<Vec<_>>()
        };
        let pairs = best_pairs(
            [&superpoint_features[0], &superpoint_features[1]],
            [&has(0), &has(1)],
            config.num_correspondences,
            config.dual_normalization,
        )?;
        let scale = 1.0 / (fine_features.channels as f32).sqrt();
        let match_pair = |(number, pair): (usize, &Pair)| {
            let (rows, columns) = (&patches[0][pair.target as usize], &patches[1][pair.source as usize]);
            let mut scores = Vec::with_capacity(rows.len() * columns.len());
            for row in rows {
                let row = fine_features.row(*row as usize);
                let column = |at: &u32| {
                    long_dot::<16, _>(row, fine_features.row(fine_stage.split + *at as usize)) * scale
                };
                scores.extend(columns.iter().map(column));
            }
            let sizes = [rows.len(), columns.len()];
            let plan = self.transport.plan(&scores, sizes);
            let chosen = correspondences::chosen(&plan, sizes, &config.fine_matching);
            let correspondence = |(row, column, score): (usize, usize, f32)| Correspondence {
                target: rows[row],
                source: columns[column],
                score: if config.fine_matching.use_global_score { score * pair.score } else { score },
                patch: number as u32,
            };
            (plan, chosen.into_iter().map(correspondence).collect::<Vec<_>>())
        };
        let matched: Vec<_> = pairs.par_iter().enumerate().map(match_pair).collect();
        let (plans, all): (Vec<_>, Vec<_>) = matched.into_iter().unzip();
        let correspondences = all.concat();
        let found = correspondences::motion(&correspondences, points, &config.fine_matching);
        Ok(Answer {
            fine,
            fine_features,
            coarse_features,
            superpoint_features,
            patches,
            pairs,
            plans,
            correspondences,
            found,
            stages,
        })
    }
}
