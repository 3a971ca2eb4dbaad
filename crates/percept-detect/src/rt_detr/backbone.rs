//! What the detectors stand on.

use percept_backbone::hgnet::{Hgnet, HgnetConfig};
use percept_backbone::resnet::{Resnet, ResnetConfig};
use percept_backbone::{Result, Tensor, Weights, WeightsError};
use serde_json::{Value, json};

use percept_backbone::checkpoint::wrong;

use super::config::Family;

/// From pixels to maps of features, from fine to coarse.
#[derive(Debug)]
pub(crate) enum Backbone {
    Resnet(Box<Resnet>),
    Hgnet(Box<Hgnet>),
}

impl Backbone {
    /// Loads the backbone that a detector's `config.json` describes, with the channels of its maps.
    pub(crate) fn load(
        weights: &Weights,
        config: &Value,
        family: Family,
    ) -> Result<(Self, Vec<usize>), WeightsError> {
        let default = match family {
            Family::DFine => json!({"model_type": "hgnet_v2", "out_indices": [2, 3, 4]}),
            _ => json!({"model_type": "rt_detr_resnet", "out_indices": [2, 3, 4]}),
        };
        let config =
            if config["backbone_config"].is_object() { &config["backbone_config"] } else { &default };
        match config["model_type"].as_str() {
            Some("hgnet_v2") => {
                let config = HgnetConfig::of(config)?;
                Ok((Self::Hgnet(Box::new(Hgnet::load(weights, &config)?)), config.out_channels()))
            }
            Some("resnet" | "rt_detr_resnet") => {
                let config = ResnetConfig::of(config)?;
                Ok((Self::Resnet(Box::new(Resnet::load(weights, &config)?)), config.out_channels()))
            }
            _ => Err(wrong(format!("a backbone of `model_type` {} is not supported", config["model_type"]))),
        }
    }

    /// Of images `[batch, 3, height, width]`.
    pub(crate) fn feature_maps(&self, pixel_values: &Tensor) -> Result<Vec<Tensor>> {
        match self {
            Self::Resnet(resnet) => resnet.feature_maps(pixel_values),
            Self::Hgnet(hgnet) => hgnet.feature_maps(pixel_values),
        }
    }
}
