//! GeoTransformer (Qin et al. 2022, "Geometric Transformer for Fast and Robust Point Cloud Registration", arXiv 2202.06688):
//! superpoints of two clouds matched by a transformer that knows how they lie, points of their patches by optimal transport,
//! and the motion that most of them agree on. Any checkpoint of the authors' code, github.com/qinzheng93/GeoTransformer.

mod backbone;
mod configuration;
mod convolution;
mod correspondences;
#[cfg(test)]
mod golden;
mod network;
mod patches;
mod pyramid;
mod raw;
mod superpoints;

use nalgebra::Vector3;
use percept_backbone::checkpoint::{configuration, device_and_precision};
use percept_backbone::{Weights, WeightsError, on_compute_threads};
use percept_core::register::{
    Doubt, Matching, PointCloud, RegisterInput, Registration, Search, Start, Transform,
};
use percept_core::{Error, LocalModel, Model, Precision, Predicted, RawTensor, Register, Result, Runtime};
use serde_json::Value;

use crate::agree;
use crate::classic::{Beginning, Pair, guessed, register_from};
use crate::fine::Known;
use crate::motion::Motion;
use crate::voxel;
use configuration::Configuration;
use network::{Answer, Network};

/// The most prepared points of a cloud. The authors' scans have 20 to 30 thousand.
const MOST_POINTS: usize = 250_000;
/// The share of correspondences that has to agree: what the authors' `eval.inlier_ratio_threshold` counts a pair as matched by.
const SHARE: f64 = 0.05;
/// The dictionary of a published checkpoint that has the weights.
const STATE: &str = "model";

/// A loaded checkpoint.
struct GeoTransformer {
    id: String,
    network: Network,
}

/// Loads a checkpoint: `model.safetensors`, or the authors' `.pth.tar`; `config.json`, or the experiment that the weights
/// are of.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Register>>> {
    Ok(Box::new(GeoTransformer::load(local, runtime)?))
}

impl GeoTransformer {
    fn load(local: &LocalModel, runtime: &Runtime) -> Result<Self> {
        let (device, precision) = device_and_precision(runtime)?;
        if !device.is_cpu() || precision != Precision::F32 {
            return Err(Error::argument("GeoTransformer runs on the processor and in f32 only"));
        }
        let config = if local.find("config.json").is_some() { configuration(local)? } else { Value::Null };
        let pickled =
            local.files.iter().find(|(name, _)| name.ends_with(".pth.tar") || name.ends_with(".pth"));
        let stored = local.files.keys().any(|name| name.starts_with("model.safetensors"));
        let weights = match pickled {
            Some((_, path)) if !stored => {
                Weights::open_pickle(path, Some(STATE), &device).map_err(|error| error.of(&local.id))?
            }
            _ => Weights::open_safetensors(local, &device)?,
        };
        let build = || Network::load(&weights, Configuration::read(&config, &weights)?);
        let network = build().map_err(|error: WeightsError| error.of(&local.id))?;
        Ok(Self { id: local.id.clone(), network })
    }

    /// The points of a cloud as the network takes them: in its unit, and about one a voxel, as the scans were that it was
    /// trained on. Clouds that are hardly denser are taken as they are.
    fn prepared(&self, cloud: &PointCloud, name: &str) -> Result<Vec<[f32; 3]>> {
        let Configuration { backbone, unit, .. } = &self.network.config;
        let points: Vec<Vector3<f64>> =
            cloud.points.iter().map(|point| Vector3::from(*point) * *unit).collect();
        let voxel = backbone.init_voxel_size;
        let cells = voxel::occupied(&points, voxel);
        let thinned = if 2 * cells < points.len() {
            voxel::voxels(&points, None, voxel)
        } else {
            let diagonal = cloud
                .bounds()
                .map_or(0.0, |(low, high)| (Vector3::from(high) - Vector3::from(low)).norm() * unit);
            voxel::sorted(&points, None, diagonal)
        };
        let count = thinned.points.len();
        if count > MOST_POINTS {
            return Err(Error::Argument {
                message: format!(
                    "the {name} has {count} points for the model, which takes one a cube of {voxel} of its units, and \
                     {MOST_POINTS} are the most"
                ),
                hint: Some(
                    "cut the cloud; or, if its unit is not the model's, name it with `unit` in the model's config.json"
                        .into(),
                ),
            });
        }
        Ok(thinned.points.iter().map(|point| [point.x as f32, point.y as f32, point.z as f32]).collect())
    }

    fn answer(&self, input: &RegisterInput) -> Result<Answer> {
        let target = self.prepared(&input.target, "target")?;
        let source = self.prepared(&input.source, "source")?;
        self.network.run([target, source], &self.id)
    }

    /// The motion that an answer tells, in the clouds' unit and local coordinates.
    fn motion(&self, answer: &Answer) -> Option<Motion> {
        let found = answer.found?;
        Some(Motion { translation: found.motion.translation / self.network.config.unit, ..found.motion })
    }

    fn begin(&self, pair: &Pair<'_>) -> Result<Beginning> {
        match &pair.input.options.start {
            Start::Guess(guess) => return Ok(guessed(pair, guess)),
            Start::Anywhere => {}
            _ => {
                return Err(Error::Argument {
                    message: format!("`{}` finds matches by its own network", self.id),
                    hint: Some("leave `--method` out, or leave the model out".into()),
                });
            }
        }
        let answer = self.answer(pair.input)?;
        let Configuration { backbone, unit, fine_matching, .. } = &self.network.config;
        let [target_points, source_points] = answer.stages[answer.fine].clouds().map(<[_]>::len);
        let agreeing = answer.found.map_or(0, |found| found.agreeing);
        let search = Search {
            matching: Matching::Learned,
            voxel: backbone.init_voxel_size / unit,
            source_points,
            target_points,
            matches: answer.correspondences.len(),
            agreeing,
            tried: answer.found.map_or(0, |found| found.proposed),
        };
        let wanted = agree::LEAST.max((SHARE * answer.correspondences.len() as f64).ceil() as usize);
        let few = (agreeing < wanted).then_some(Doubt::FewMatches { found: agreeing, wanted });
        Ok(match self.motion(&answer) {
            Some(motion) => Beginning {
                motion: pair.working(&Transform::from(&motion)),
                // What agrees lies within the radius; the mean of many lies nearer.
                known: Known::Found(fine_matching.acceptance_radius / unit / 2.0),
                search: Some(search),
                flat: None,
                doubts: few.into_iter().collect(),
            },
            None => Beginning {
                search: Some(search),
                doubts: few.into_iter().collect(),
                ..guessed(pair, &Transform::IDENTITY)
            },
        })
    }
}

impl Model<Register> for GeoTransformer {
    fn predict(&self, inputs: &[RegisterInput]) -> Result<Vec<Predicted<Registration>>> {
        on_compute_threads(|| {
            inputs.iter().map(|input| register_from(input, |pair| self.begin(pair))).collect()
        })
    }

    fn raw(&self, input: &RegisterInput) -> Result<Vec<RawTensor>> {
        on_compute_threads(|| raw::tensors(&self.answer(input)?, &self.network.config, &self.id))
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }
}
