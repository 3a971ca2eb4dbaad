//! What the authors' `config.py` says, of one of three published experiments or of a `config.json` with the same names.

use percept_backbone::checkpoint::{count, positive, wrong};
use percept_backbone::{Weights, WeightsError};
use serde_json::Value;

use crate::geometric::{EmbeddingShape, Look, Reduction, TransformerShape};

/// The backbone and the pyramid that it works on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Backbone {
    pub(super) num_stages: usize,
    /// Metres, as all lengths; that of the prepared points.
    pub(super) init_voxel_size: f64,
    pub(super) kernel_size: usize,
    /// In voxels.
    pub(super) base_radius: f64,
    pub(super) base_sigma: f64,
    pub(super) group_norm: usize,
    pub(super) init_dim: usize,
    pub(super) output_dim: usize,
    /// The most neighbours at each stage; settled from the clouds where the configuration is silent.
    pub(super) neighbor_limits: Option<Vec<usize>>,
    /// The stage whose points are matched, counted from 1.
    pub(super) fine_stage: usize,
}

impl Backbone {
    pub(super) fn init_radius(&self) -> f64 {
        self.base_radius * self.init_voxel_size
    }

    pub(super) fn init_sigma(&self) -> f64 {
        self.base_sigma * self.init_voxel_size
    }
}

/// Which points of two patches go together, and which motion they tell (`LocalGlobalRegistration`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FineMatching {
    pub(super) topk: usize,
    pub(super) acceptance_radius: f64,
    pub(super) mutual: bool,
    pub(super) confidence_threshold: f32,
    pub(super) use_global_score: bool,
    pub(super) correspondence_threshold: usize,
    pub(super) correspondence_limit: Option<usize>,
    pub(super) num_refinement_steps: usize,
}

/// The whole of it.
#[derive(Clone, Debug)]
pub(super) struct Configuration {
    pub(super) backbone: Backbone,
    pub(super) transformer: TransformerShape,
    pub(super) num_points_in_patch: usize,
    pub(super) num_sinkhorn_iterations: usize,
    pub(super) num_correspondences: usize,
    pub(super) dual_normalization: bool,
    pub(super) fine_matching: FineMatching,
    /// What a unit of the clouds' coordinates is in those of the model.
    pub(super) unit: f64,
}

/// What the three experiments differ in.
struct Experiment {
    name: &'static str,
    stages: usize,
    voxel: f64,
    radius: f64,
    neighbor_limits: Option<&'static [usize]>,
    patch: usize,
    correspondences: usize,
    hidden: usize,
    sigma_d: f64,
    topk: usize,
    acceptance_radius: f64,
}

/// `experiments/geotransformer.*/config.py`. Limits of neighbours are those of the demonstration of 3DMatch; the authors
/// settle the others' from data that they train on.
const EXPERIMENTS: [Experiment; 3] = [
    Experiment {
        name: "3dmatch",
        stages: 4,
        voxel: 0.025,
        radius: 2.5,
        neighbor_limits: Some(&[38, 36, 36, 38]),
        patch: 64,
        correspondences: 256,
        hidden: 256,
        sigma_d: 0.2,
        topk: 3,
        acceptance_radius: 0.1,
    },
    Experiment {
        name: "kitti",
        stages: 5,
        voxel: 0.3,
        radius: 4.25,
        neighbor_limits: None,
        patch: 128,
        correspondences: 256,
        hidden: 128,
        sigma_d: 4.8,
        topk: 2,
        acceptance_radius: 0.6,
    },
    Experiment {
        name: "modelnet",
        stages: 3,
        voxel: 0.05,
        radius: 2.5,
        neighbor_limits: None,
        patch: 128,
        correspondences: 128,
        hidden: 256,
        sigma_d: 0.2,
        topk: 3,
        acceptance_radius: 0.1,
    },
];

impl Configuration {
    /// Of a `config.json`, or of nothing: the experiment is then the one whose backbone has as many stages as the weights.
    pub(super) fn read(config: &Value, weights: &Weights) -> Result<Self, WeightsError> {
        let experiment = match &config["experiment"] {
            Value::Null => EXPERIMENTS.iter().find(|one| one.stages == stages(weights)),
            name => EXPERIMENTS.iter().find(|one| name == one.name),
        };
        let Some(base) = experiment else {
            return Err(match &config["experiment"] {
                Value::Null => WeightsError::Format(format!(
                    "it has {} stages, as none of the published experiments (3dmatch, kitti, modelnet)",
                    stages(weights)
                )),
                name => wrong(format!("`experiment` is {name}, not \"3dmatch\", \"kitti\" or \"modelnet\"")),
            });
        };
        let backbone = read_backbone(config, base, weights)?;
        let of = |section: &str| &config[section];
        let transformer = read_transformer(of("geotransformer"), base, &backbone)?;
        let model = of("model");
        let coarse = of("coarse_matching");
        let read = Self {
            backbone,
            transformer,
            num_points_in_patch: positive(model, "num_points_in_patch", base.patch)?,
            num_sinkhorn_iterations: count(model, "num_sinkhorn_iterations", 100)?,
            num_correspondences: positive(coarse, "num_correspondences", base.correspondences)?,
            dual_normalization: flag(coarse, "dual_normalization", true)?,
            fine_matching: read_fine(of("fine_matching"), base)?,
            unit: length(config, "unit", 1.0)?,
        };
        Ok(read)
    }
}

/// Encoder stages in the weights.
fn stages(weights: &Weights) -> usize {
    (1..10).take_while(|stage| weights.has(&format!("backbone.encoder{stage}_2.KPConv.weights"))).count()
}

fn read_backbone(config: &Value, base: &Experiment, weights: &Weights) -> Result<Backbone, WeightsError> {
    let backbone = &config["backbone"];
    let num_stages = positive(backbone, "num_stages", base.stages)?;
    // One layer of each encoder stage halves the density; two hundred stages are nobody's network.
    if !(2..=8).contains(&num_stages) {
        return Err(wrong(format!("`backbone.num_stages` is {num_stages}, not 2 to 8")));
    }
    if positive(backbone, "input_dim", 1)? != 1 {
        return Err(wrong("`backbone.input_dim` is not 1: points have no features here"));
    }
    let neighbor_limits = match &config["neighbor_limits"] {
        Value::Null => {
            base.neighbor_limits.filter(|limits| limits.len() == num_stages).map(<[usize]>::to_vec)
        }
        Value::Array(values) if values.len() == num_stages => {
            let limit = |value: &Value| value.as_u64().filter(|limit| (1..1 << 16).contains(limit));
            let limits = values.iter().map(|value| limit(value).map(|limit| limit as usize));
            let limits: Option<Vec<usize>> = limits.collect();
            Some(limits.ok_or_else(|| wrong("`neighbor_limits` are not all counts"))?)
        }
        value => return Err(wrong(format!("`neighbor_limits` is {value}, not {num_stages} counts"))),
    };
    Ok(Backbone {
        num_stages,
        init_voxel_size: length(backbone, "init_voxel_size", base.voxel)?,
        kernel_size: positive(backbone, "kernel_size", 15)?,
        base_radius: length(backbone, "base_radius", base.radius)?,
        base_sigma: length(backbone, "base_sigma", 2.0)?,
        group_norm: positive(backbone, "group_norm", 32)?,
        init_dim: positive(backbone, "init_dim", 64)?,
        output_dim: positive(backbone, "output_dim", 256)?,
        neighbor_limits,
        // The last decoder is the one without a norm; ModelNet's goes back to all points.
        fine_stage: if weights.has("backbone.decoder1.mlp.weight") { 1 } else { 2 },
    })
}

fn read_transformer(
    config: &Value,
    base: &Experiment,
    backbone: &Backbone,
) -> Result<TransformerShape, WeightsError> {
    let channels = backbone.init_dim << backbone.num_stages;
    let looks = match &config["blocks"] {
        Value::Null => [Look::Own, Look::Other].repeat(3),
        Value::Array(blocks) => {
            let look = |block: &Value| match block.as_str() {
                Some("self") => Ok(Look::Own),
                Some("cross") => Ok(Look::Other),
                _ => Err(wrong(format!("`geotransformer.blocks` has {block}, not \"self\" or \"cross\""))),
            };
            blocks.iter().map(look).collect::<Result<_, _>>()?
        }
        value => return Err(wrong(format!("`geotransformer.blocks` is {value}, not a list"))),
    };
    let reduction = match &config["reduction_a"] {
        Value::Null => Reduction::Max,
        value => match value.as_str() {
            Some("max") => Reduction::Max,
            Some("mean") => Reduction::Mean,
            _ => {
                return Err(wrong(format!(
                    "`geotransformer.reduction_a` is {value}, not \"max\" or \"mean\""
                )));
            }
        },
    };
    Ok(TransformerShape {
        input: positive(config, "input_dim", channels)?,
        output: positive(config, "output_dim", 256)?,
        heads: positive(config, "num_heads", 4)?,
        looks,
        embedding: EmbeddingShape {
            hidden: positive(config, "hidden_dim", base.hidden)?,
            sigma_d: length(config, "sigma_d", base.sigma_d)? as f32,
            sigma_a: length(config, "sigma_a", 15.0)? as f32,
            angle_k: positive(config, "angle_k", 3)?,
            reduction,
        },
    })
}

fn read_fine(config: &Value, base: &Experiment) -> Result<FineMatching, WeightsError> {
    if flag(config, "use_dustbin", false)? {
        return Err(wrong(
            "`fine_matching.use_dustbin` is true, which the authors' code has no working form of",
        ));
    }
    Ok(FineMatching {
        topk: positive(config, "topk", base.topk)?,
        acceptance_radius: length(config, "acceptance_radius", base.acceptance_radius)?,
        mutual: flag(config, "mutual", true)?,
        confidence_threshold: match &config["confidence_threshold"] {
            Value::Null => 0.05,
            value => value.as_f64().filter(|value| (0.0..1.0).contains(value)).ok_or_else(|| {
                wrong(format!("`fine_matching.confidence_threshold` is {value}, not a probability"))
            })? as f32,
        },
        use_global_score: flag(config, "use_global_score", false)?,
        correspondence_threshold: positive(config, "correspondence_threshold", 3)?,
        correspondence_limit: match &config["correspondence_limit"] {
            Value::Null => None,
            _ => Some(positive(config, "correspondence_limit", 1)?),
        },
        num_refinement_steps: positive(config, "num_refinement_steps", 5)?,
    })
}

fn flag(config: &Value, name: &str, default: bool) -> Result<bool, WeightsError> {
    match &config[name] {
        Value::Null => Ok(default),
        value => value.as_bool().ok_or_else(|| wrong(format!("`{name}` is {value}, not true or false"))),
    }
}

/// A number above zero.
fn length(config: &Value, name: &str, default: f64) -> Result<f64, WeightsError> {
    match &config[name] {
        Value::Null => Ok(default),
        value => value
            .as_f64()
            .filter(|value| (1e-9..1e9).contains(value))
            .ok_or_else(|| wrong(format!("`{name}` is {value}, not a number above 0"))),
    }
}
