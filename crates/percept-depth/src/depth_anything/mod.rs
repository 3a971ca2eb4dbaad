//! Depth Anything (Yang et al. 2024, arXiv 2401.10891) and Depth Anything V2 (Yang et al. 2024, arXiv 2406.09414): DINOv2
//! with the neck and head of a DPT. Any Hugging Face snapshot of `DepthAnythingForDepthEstimation`: small, base and large,
//! relative and metric.

#[cfg(test)]
mod golden;

use percept_backbone::checkpoint::{positive, wrong};
use percept_backbone::{Activation, Result, Tensor, Weights, WeightsError};
use percept_core::depth::DepthUnit;
use serde_json::{Value, json};

use crate::backbone::Backbone;
use crate::estimator::{self, Estimate};
use crate::head::Head;
use crate::neck::{Growth, Neck, NeckConfig};

/// From pixels to depth.
pub(crate) struct Network {
    backbone: Backbone,
    neck: Neck,
    head: Head,
    head_in: i64,
    unit: DepthUnit,
    /// What the head's answer is multiplied by: of metric models the largest depth in metres.
    largest: f64,
}

impl estimator::Network for Network {
    const IMAGE_PROCESSOR: &'static str = "DPTImageProcessor";

    fn load(weights: &Weights, config: &Value) -> Result<Self, WeightsError> {
        let unit = match config["depth_estimation_type"].as_str() {
            None if config["depth_estimation_type"].is_null() => DepthUnit::RelativeInverse,
            Some("relative") => DepthUnit::RelativeInverse,
            Some("metric") => DepthUnit::Metres,
            _ => {
                let value = &config["depth_estimation_type"];
                return Err(wrong(format!("`depth_estimation_type` is {value}, not relative or metric")));
            }
        };
        let largest = match &config["max_depth"] {
            Value::Null => 1.0,
            value => value
                .as_f64()
                .filter(|depth| *depth > 0.0)
                .ok_or_else(|| wrong(format!("`max_depth` is {value}, not a number above zero")))?,
        };
        // As the reference's configuration has it without arguments.
        let default = json!({
            "model_type": "dinov2", "image_size": 518, "hidden_size": 384, "num_attention_heads": 6,
            "out_indices": [9, 10, 11, 12],
        });
        let backbone =
            if config["backbone_config"].is_null() { &default } else { &config["backbone_config"] };
        let backbone = Backbone::load(&weights.at("backbone"), backbone)?;
        let neck = NeckConfig::of(config, Growth::ToNext, (&[48, 96, 192, 384], 64))?;
        if backbone.stages() != neck.stages.len() {
            let (states, stages) = (backbone.stages(), neck.stages.len());
            return Err(wrong(format!(
                "`backbone_config.out_indices` has {states} layers for {stages} stages"
            )));
        }
        let hidden = positive(config, "head_hidden_size", 32)?;
        let names = ["conv1", "conv2", "conv3"];
        Ok(Self {
            neck: Neck::load(&weights.at("neck"), &neck, backbone.dim, 0)?,
            head: Head::load(&weights.at("head"), names, (neck.width, hidden), false)?,
            head_in: config["head_in_index"].as_i64().unwrap_or(-1),
            backbone,
            unit,
            largest,
        })
    }

    fn forward(&self, pixel_values: &Tensor) -> Result<Estimate> {
        let states = self.backbone.forward(pixel_values)?;
        let size = states.grid.map(|patches| patches * self.backbone.patch);
        let fused = self.neck.forward(&states)?;
        let features = self.head.features(fused.at(self.head_in)?, Some(size))?;
        let activation = match self.unit {
            DepthUnit::Metres => Activation::Sigmoid,
            DepthUnit::RelativeInverse => Activation::Relu,
        };
        let depth = self.head.depth(&features, activation)?;
        let depth = if self.largest == 1.0 { depth } else { (depth * self.largest)? };
        Ok(Estimate { depth, more: Vec::new() })
    }

    fn unit(&self) -> DepthUnit {
        self.unit
    }
}
