//! ZoeDepth (Bhat et al. 2023, arXiv 2302.12288): metres, from a BEiT with the neck of a DPT and bins of depth at each pixel.
//! Any Hugging Face snapshot of `ZoeDepthForDepthEstimation`, with one domain or two.

mod bins;
mod config;
#[cfg(test)]
mod golden;
mod metric;
mod mixture;
mod router;

use percept_backbone::checkpoint::wrong;
use percept_backbone::{Activation, Filter, Result, Tensor, Weights, WeightsError};
use percept_core::Precision;
use percept_core::depth::DepthUnit;
use serde_json::{Value, json};

use crate::backbone::Backbone;
use crate::estimator::{self, Asked, Estimate, Finished, resized};
use crate::head::Head;
use crate::neck::{Growth, Neck, NeckConfig, Readout};
use config::Metric;
use metric::Heads;

/// From pixels to metres.
pub(crate) struct Network {
    backbone: Backbone,
    neck: Neck,
    relative: Head,
    head_in: i64,
    heads: Heads,
}

impl estimator::Network for Network {
    const IMAGE_PROCESSOR: &'static str = "ZoeDepthImageProcessor";

    fn load(weights: &Weights, config: &Value) -> Result<Self, WeightsError> {
        // As the reference's configuration has it without arguments.
        let default = json!({
            "model_type": "beit", "image_size": 384, "num_hidden_layers": 24, "hidden_size": 1024,
            "intermediate_size": 4096, "num_attention_heads": 16, "use_relative_position_bias": true,
            "reshape_hidden_states": false, "out_features": ["stage6", "stage12", "stage18", "stage24"],
        });
        let backbone =
            if config["backbone_config"].is_null() { &default } else { &config["backbone_config"] };
        let backbone = Backbone::load(&weights.at("backbone"), backbone)?;
        let neck = NeckConfig::of(config, Growth::Twice, (&[96, 192, 384, 768], 256))?;
        if !matches!(neck.readout, Readout::Project(_)) {
            // The reference itself fails at the others.
            return Err(wrong(format!(
                "`readout_type` is {}, only project is supported",
                config["readout_type"]
            )));
        }
        let (states, stages) = (backbone.stages(), neck.stages.len());
        if states != stages || stages != 4 {
            return Err(wrong(format!(
                "`backbone_config.out_features` has {states} layers, {stages} stages; not 4"
            )));
        }
        let metric = Metric::of(config, neck.width)?;
        let projects = config["add_projection"].as_bool().unwrap_or(false);
        let names = ["conv1", "conv2", "conv3"];
        // The heads are small, and a bin that is off is seen.
        let exact = weights.in_precision(Precision::F32);
        Ok(Self {
            neck: Neck::load(&weights.at("neck"), &neck, backbone.dim, 0)?,
            relative: Head::load(
                &weights.at("relative_head"),
                names,
                (neck.width, metric.features),
                projects,
            )?,
            head_in: config["head_in_index"].as_i64().unwrap_or(-1),
            heads: Heads::load(&exact.at("metric_head"), &metric)?,
            backbone,
        })
    }

    fn forward(&self, pixel_values: &Tensor) -> Result<Estimate> {
        let fused = self.neck.forward(&self.backbone.forward(pixel_values)?)?;
        let features = self.relative.features(fused.at(self.head_in)?, None)?;
        let relative = self.relative.depth(&features, Activation::Relu)?;
        let (depth, logits) = self.heads.forward(&fused, &features, &relative)?;
        Ok(Estimate { depth, more: logits.map(|logits| ("domain_logits", logits)).into_iter().collect() })
    }

    fn unit(&self) -> DepthUnit {
        DepthUnit::Metres
    }

    /// `ZoeDepthImageProcessor.post_process_depth_estimation` with the picture's size as `source_sizes` and
    /// `target_sizes`: the border that was reflected is cut off. As in the reference's pipeline the picture is not looked at
    /// a second time in a mirror (`outputs_flipped`).
    fn finish(&self, estimate: &Estimate, asked: &Asked<'_>) -> Result<Finished> {
        let [rows, columns] = asked.size;
        let [across, down] = asked.processor.border((columns as u32, rows as u32)).map(|side| side as usize);
        let bordered = resized(&estimate.depth, [rows + 2 * down, columns + 2 * across], Filter::Bicubic)?;
        let depth = bordered.narrow(0, down, rows)?.narrow(1, across, columns)?;
        Ok(Finished { depth, focal: None })
    }
}
