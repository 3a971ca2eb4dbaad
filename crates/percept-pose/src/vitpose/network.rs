//! The network: a Vision Transformer and a decoder, or a decoder a data set.

use percept_backbone::checkpoint::{count, wrong};
use percept_backbone::vit::{Vit, VitConfig};
use percept_backbone::{Result, Tensor, ToContiguous, Weights, WeightsError};
use serde_json::Value;

use super::answers::{Answer, answers};
use super::heads::Head;

/// From pixels to heat maps.
#[derive(Debug)]
pub(super) struct Network {
    vit: Vit,
    /// How many of the layers run.
    layers: usize,
    heads: Vec<Head>,
    answers: Vec<Answer>,
    /// Height and width of the input.
    image: [usize; 2],
}

impl Network {
    /// Loads `VitPoseForPoseEstimation`.
    pub(super) fn load(weights: &Weights, config: &Value) -> Result<Self, WeightsError> {
        let backbone = &config["backbone_config"];
        for key in ["use_timm_backbone", "use_pretrained_backbone"] {
            if config[key].as_bool() == Some(true) {
                return Err(wrong(format!("`{key}` is true, which is not supported")));
            }
        }
        let kind = &backbone["model_type"];
        if kind != "vitpose_backbone" {
            return Err(wrong(format!("`backbone_config.model_type` is {kind}, not \"vitpose_backbone\"")));
        }
        let (mut vit, names) = VitConfig::of(backbone)?;
        let (mut answers, prefixes) = answers(weights, config, vit.experts.as_ref())?;
        // Only the experts that an answer needs are loaded.
        if let Some(experts) = &mut vit.experts {
            let mut wanted: Vec<usize> = answers.iter().map(|answer| answer.expert).collect();
            wanted.sort_unstable();
            wanted.dedup();
            for answer in &mut answers {
                answer.expert = wanted.iter().position(|expert| *expert == answer.expert).unwrap_or(0);
            }
            experts.wanted = wanted;
        }
        let factor = match config["use_simple_decoder"].as_bool().unwrap_or(true) {
            true => Some(count(config, "scale_factor", 4)?).filter(|factor| *factor > 0),
            false => None,
        };
        if factor.is_none() && config["scale_factor"] == 0 {
            return Err(wrong("`scale_factor` is 0"));
        }
        let head = |(index, prefix): (usize, &String)| {
            let keypoints = answers.iter().find(|answer| answer.head == index);
            let keypoints = keypoints.map_or(0, |answer| answer.scheme.names.len());
            Head::load(&weights.at(prefix), factor, vit.dim, keypoints)
        };
        Ok(Self {
            layers: layers(backbone, vit.depth)?,
            heads: prefixes.iter().enumerate().map(head).collect::<Result<_, _>>()?,
            image: vit.image,
            vit: Vit::load(&weights.at("backbone"), &vit, &names)?,
            answers,
        })
    }

    /// What it can answer with; the first is what it gives when nothing is asked.
    pub(super) fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// Height and width of the input.
    pub(super) fn image(&self) -> [usize; 2] {
        self.image
    }

    /// Crops `[batch, 3, height, width]` to heat maps `[batch, keypoints, rows, columns]`.
    pub(super) fn heatmaps(&self, pixel_values: &Tensor, answer: &Answer) -> Result<Tensor> {
        let tokens = self.vit.tokens_by(pixel_values, self.layers, answer.expert)?;
        let (batch, _, dim) = tokens.dims3()?;
        let [rows, columns] = self.vit.grid(self.image);
        let map = tokens.transpose(1, 2)?.to_contiguous()?.reshape((batch, dim, rows, columns))?;
        self.heads[answer.head].forward(&map)
    }
}

/// Behind how many layers the states are read: the last of `out_indices` or `out_features`.
fn layers(backbone: &Value, depth: usize) -> Result<usize, WeightsError> {
    let list = |key: &str| backbone[key].as_array().filter(|list| !list.is_empty());
    let stage = |value: &Value| {
        let index = match value.as_str() {
            Some("stem") => Some(0),
            Some(name) => name.strip_prefix("stage").and_then(|number| number.parse().ok()),
            // Counted from the end where it is below zero.
            None => value.as_i64().map(|index| if index < 0 { index + depth as i64 + 1 } else { index }),
        };
        index.and_then(|index| usize::try_from(index).ok()).filter(|index| *index <= depth)
    };
    for key in ["out_features", "out_indices"] {
        let Some(list) = list(key) else { continue };
        let stages = list.iter().map(stage).collect::<Option<Vec<_>>>();
        let last = stages.and_then(|stages| stages.into_iter().max());
        return last.ok_or_else(|| {
            wrong(format!("`backbone_config.{key}` is {}, of {depth} layers", backbone[key]))
        });
    }
    Ok(depth)
}
