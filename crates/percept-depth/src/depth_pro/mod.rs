//! Depth Pro (Bochkovskii et al. 2024, arXiv 2410.02073): metres, sharp at edges, and the field of view. Any Hugging Face
//! snapshot of `DepthProForDepthEstimation`.

mod config;
mod encoder;
mod field_of_view;
#[cfg(test)]
mod golden;
mod neck;
mod patches;

use percept_backbone::{
    Activation, Conv2d, ConvShape, EngineError, Filter, Result, Tensor, Weights, WeightsError,
};
use percept_core::depth::DepthUnit;
use serde_json::Value;

use crate::estimator::{self, Asked, Estimate, Finished, resized};
use config::Config;
use encoder::Encoder;
use field_of_view::FieldOfView;
use neck::{Fusion, Neck, doubling};

/// From pixels to inverse depth, times the focal length over the width.
pub(crate) struct Network {
    config: Config,
    encoder: Encoder,
    neck: Neck,
    fusion: Fusion,
    /// A convolution, one that doubles the size, and two more.
    head: [Conv2d; 4],
    field_of_view: Option<FieldOfView>,
}

/// What the reference calls the degrees of a picture's width.
const FIELD_OF_VIEW: &str = "field_of_view";

impl estimator::Network for Network {
    const IMAGE_PROCESSOR: &'static str = "DepthProImageProcessor";

    fn load(weights: &Weights, config: &Value) -> Result<Self, WeightsError> {
        /// Channels before the last convolution; the reference has no setting for them.
        const HIDDEN: usize = 32;
        let config = Config::of(config)?;
        let body = weights.at("depth_pro");
        let encoder = Encoder::load(&body.at("encoder"), &config)?;
        let head = weights.at("head.layers");
        let (width, half) = (config.width, config.width / 2);
        let side = encoder.image.grid();
        let field_of_view = config
            .fov_layers
            .map(|count| FieldOfView::load(&weights.at("fov_model"), &config, count, side))
            .transpose()?;
        Ok(Self {
            neck: Neck::load(&body.at("neck"), &config, &encoder)?,
            fusion: Fusion::load(&weights.at("fusion_stage"), &config)?,
            head: [
                Conv2d::load(&head.at("0"), ConvShape::square(half, width, 3).padding(1))?,
                Conv2d::load_transposed(&head.at("1"), doubling(half, half))?,
                Conv2d::load(&head.at("2"), ConvShape::square(HIDDEN, half, 3).padding(1))?,
                Conv2d::load(&head.at("4"), ConvShape::square(1, HIDDEN, 1))?,
            ],
            field_of_view,
            encoder,
            config,
        })
    }

    fn forward(&self, pixel_values: &Tensor) -> Result<Estimate> {
        let (_, _, height, width) = pixel_values.dims4()?;
        let maps = self.neck.forward(&self.encoder.forward(pixel_values, &self.config)?)?;
        let [narrow, double, refine, last] = &self.head;
        let depth = double.forward(&narrow.forward(&self.fusion.forward(&maps)?)?)?;
        let depth =
            last.forward_activated(&refine.forward_activated(&depth, Activation::Relu)?, Activation::Relu)?;
        let mut more = Vec::new();
        if let (Some(model), Some(smallest)) = (&self.field_of_view, maps.first()) {
            let base = self.encoder.base([height, width]);
            more.push((FIELD_OF_VIEW, model.forward(pixel_values, smallest, base)?));
        }
        Ok(Estimate { depth: depth.squeeze(1)?, more })
    }

    fn unit(&self) -> DepthUnit {
        DepthUnit::Metres
    }

    /// `DepthProImageProcessor.post_process_depth_estimation`: what the network gives is inverse depth for a focal length
    /// of the picture's width. Without a model of the field of view, and where none is asked for, it stays at that one.
    fn finish(&self, estimate: &Estimate, asked: &Asked<'_>) -> Result<Finished> {
        /// The nearest and the farthest inverse metres.
        const RANGE: (f32, f32) = (1e-4, 1e4);
        let width = asked.size[1] as f32;
        let degrees = estimate.more.iter().find(|(name, _)| *name == FIELD_OF_VIEW);
        let degrees = degrees.map(|(_, degrees)| degrees.flatten_all()?.to_vec1::<f32>()).transpose()?;
        let estimated = degrees.and_then(|degrees| degrees.first().copied()).map(|degrees| {
            let focal = 0.5 * width / (0.5 * degrees.to_radians()).tan();
            match focal > 0.0 && focal.is_finite() {
                true => Ok(focal),
                false => Err(EngineError::Msg(format!("the field of view is {degrees} degrees"))),
            }
        });
        // An estimate that makes no sense does not matter where another focal length is given.
        let (focal, estimated) = match (asked.options.focal, estimated) {
            (Some(given), estimated) => (Some(given), estimated.and_then(Result::ok)),
            (None, estimated) => {
                let estimated = estimated.transpose()?;
                (estimated, estimated)
            }
        };
        let inverse = match focal {
            Some(focal) => ((&estimate.depth * f64::from(width))? / f64::from(focal))?,
            None => estimate.depth.clone(),
        };
        let filter = asked.processor.value_filter().unwrap_or(Filter::Bilinear);
        let inverse = resized(&inverse, asked.size, filter)?;
        Ok(Finished { depth: inverse.clamp(RANGE.0, RANGE.1)?.recip()?, focal: estimated })
    }
}
