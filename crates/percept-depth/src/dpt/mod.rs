//! DPT (Ranftl et al. 2021, "Vision Transformers for Dense Prediction", arXiv 2103.13413): any Hugging Face snapshot of
//! `DPTForDepthEstimation`, with its own Vision Transformer, with that over a BiT (hybrid), or with a `backbone_config`.

mod encoder;
#[cfg(test)]
mod golden;

use percept_backbone::{Activation, Result, Tensor, Weights, WeightsError};
use percept_core::depth::DepthUnit;
use serde_json::Value;

use crate::estimator::{self, Estimate};
use crate::head::Head;
use crate::neck::{Growth, Neck, NeckConfig};
use encoder::Encoder;

/// From pixels to depth.
pub(crate) struct Network {
    encoder: Encoder,
    neck: Neck,
    head: Head,
    head_in: i64,
}

impl estimator::Network for Network {
    const IMAGE_PROCESSOR: &'static str = "DPTImageProcessor";

    fn load(weights: &Weights, config: &Value) -> Result<Self, WeightsError> {
        /// Channels before the last convolution; the reference has no setting for them.
        const HIDDEN: usize = 32;
        let neck = NeckConfig::of(config, Growth::Twice, (&[96, 192, 384, 768], 256))?;
        let encoder = Encoder::load(weights, config, &neck)?;
        let projects = config["add_projection"].as_bool().unwrap_or(false);
        let names = ["head.0", "head.2", "head.4"];
        Ok(Self {
            neck: Neck::load(&weights.at("neck"), &neck, encoder.dim(), encoder.maps())?,
            head: Head::load(&weights.at("head"), names, (neck.width, HIDDEN), projects)?,
            head_in: config["head_in_index"].as_i64().unwrap_or(-1),
            encoder,
        })
    }

    fn forward(&self, pixel_values: &Tensor) -> Result<Estimate> {
        let fused = self.neck.forward(&self.encoder.forward(pixel_values)?)?;
        let features = self.head.features(fused.at(self.head_in)?, None)?;
        Ok(Estimate { depth: self.head.depth(&features, Activation::Relu)?, more: Vec::new() })
    }

    fn unit(&self) -> DepthUnit {
        DepthUnit::RelativeInverse
    }
}
