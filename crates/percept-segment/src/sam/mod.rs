//! SAM, "Segment Anything" (Kirillov et al. 2023, arXiv 2304.02643), from any Hugging Face snapshot of `SamModel`; and
//! what SAM 2 has in common with it.

pub(crate) mod config;
mod crops;
pub(crate) mod decoder;
mod encoder;
mod everything;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod golden_pictures;
mod network;
mod objects;
mod prompts;
mod raw;
mod two_way;
mod upsample;

use std::sync::Arc;
use std::time::Instant;

use percept_backbone::checkpoint::{device_and_precision, milliseconds};
use percept_backbone::image_processor::{Canvas, ImageProcessor};
use percept_backbone::{EngineError, Tensor, Weights, compute_error, on_compute_threads};
use percept_core::segment::{Image, SegmentInput, SegmentRequest, Segmentation, SegmentationKind};
use percept_core::{
    Error, LocalModel, Model, Precision, Predicted, RawTensor, Result, Runtime, Segment, Timings,
};

use crate::refusal::refusal;
use config::Family;
use decoder::ImageEmbedding;
use network::Network;

/// A loaded SAM or SAM 2.
pub(crate) struct Sam {
    id: String,
    network: Network,
    processor: ImageProcessor,
    precision: Precision,
}

/// A picture as the network sees it.
pub(crate) struct Look {
    pub(crate) canvas: Canvas,
    pub(crate) embedding: ImageEmbedding,
}

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Segment>>> {
    Ok(Box::new(Sam::load(local, runtime, Family::Sam)?))
}

impl Sam {
    pub(crate) fn load(local: &LocalModel, runtime: &Runtime, family: Family) -> Result<Self> {
        let (device, precision) = device_and_precision(runtime)?;
        let weights = Weights::open_safetensors(local, &device)?.in_precision(precision);
        let class = match family {
            Family::Sam => "SamImageProcessor",
            Family::Sam2 => "Sam2ImageProcessor",
        };
        Ok(Self {
            id: local.id.clone(),
            network: Network::load(local, &weights, family)?,
            processor: ImageProcessor::open(local, class)?,
            precision,
        })
    }

    /// A picture's pixels `[1, 3, side, side]`, and how they lie over it.
    pub(crate) fn prepare(&self, image: &Image) -> Result<(Tensor, Canvas)> {
        let prepared = self.processor.prepare(image)?;
        let (canvas, side) = (prepared.canvas, self.network.canvas as u32);
        if canvas.size != (side, side) || canvas.offset != (0, 0) {
            return Err(Error::argument(format!(
                "`{}` prepares pictures of {:?} pixels, its network takes {side} by {side}",
                self.id, canvas.size
            )));
        }
        Ok((prepared.into_tensor(self.network.device()).map_err(self.compute_error())?, canvas))
    }

    /// The image's embedding; `timings` grow by what it took.
    fn look(&self, image: &Image, timings: &mut Timings) -> Result<Look> {
        let began = Instant::now();
        let (pixels, canvas) = self.prepare(image)?;
        timings.prepare += milliseconds(began);
        let began = Instant::now();
        let (embedding, _) = self.network.embed(&pixels).map_err(self.compute_error())?;
        took(timings, "encoder", began);
        Ok(Look { canvas, embedding })
    }

    fn answer(&self, input: &SegmentInput, look: &Look, timings: &mut Timings) -> Result<Segmentation> {
        let image = &input.image;
        let (kind, instances) = match &input.options.request {
            SegmentRequest::Objects { objects, candidates } => {
                (SegmentationKind::Prompted, objects::answer(self, look, objects, *candidates, timings)?)
            }
            SegmentRequest::Everything(options) => {
                (SegmentationKind::Everything, everything::generate(self, image, look, options, timings)?)
            }
            SegmentRequest::Whole(_) | SegmentRequest::Text(_) => {
                return Err(refusal(&self.id, &input.options.request));
            }
        };
        Ok(Segmentation { width: image.width, height: image.height, kind, instances })
    }

    pub(crate) fn compute_error(&self) -> impl Fn(EngineError) -> Error + use<> {
        compute_error(&self.id)
    }
}

impl Model<Segment> for Sam {
    fn predict(&self, inputs: &[SegmentInput]) -> Result<Vec<Predicted<Segmentation>>> {
        on_compute_threads(|| {
            // Inputs of one picture share its embedding, for this call.
            let mut looks: Vec<(&Arc<Image>, Look)> = Vec::new();
            let mut outputs = Vec::with_capacity(inputs.len());
            for input in inputs {
                let mut timings = Timings::default();
                if matches!(input.options.request, SegmentRequest::Whole(_) | SegmentRequest::Text(_)) {
                    return Err(refusal(&self.id, &input.options.request));
                }
                let known = looks.iter().position(|(image, _)| Arc::ptr_eq(image, &input.image));
                let index = match known {
                    Some(index) => index,
                    None => {
                        looks.push((&input.image, self.look(&input.image, &mut timings)?));
                        looks.len() - 1
                    }
                };
                let output = self.answer(input, &looks[index].1, &mut timings)?;
                outputs.push(Predicted { output, timings });
            }
            Ok(outputs)
        })
    }

    fn raw(&self, input: &SegmentInput) -> Result<Vec<RawTensor>> {
        on_compute_threads(|| raw::tensors(self, input))
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}

/// Adds the time since `began` to the network's, and to one of its stages.
pub(crate) fn took(timings: &mut Timings, stage: &'static str, began: Instant) {
    let time = milliseconds(began);
    timings.model += time;
    match timings.stages.iter_mut().find(|(name, _)| *name == stage) {
        Some((_, sum)) => *sum += time,
        None => timings.stages.push((stage, time)),
    }
}
