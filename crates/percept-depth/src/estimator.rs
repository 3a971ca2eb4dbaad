//! A network that answers with depth, as a model.

use std::time::Instant;

use percept_backbone::checkpoint::{configuration, device_and_precision, milliseconds, raw_floats};
use percept_backbone::image_processor::ImageProcessor;
use percept_backbone::{
    Alignment, Device, EngineError, Filter, Result as EngineResult, Tensor, Weights, WeightsError,
    compute_error, on_compute_threads, resize,
};
use percept_core::depth::{DepthInput, DepthMap, DepthOptions, DepthUnit};
use percept_core::{Depth, LocalModel, Model, Precision, Predicted, RawTensor, Result, Runtime, Timings};
use serde_json::Value;

/// From pixels to depth.
pub(crate) trait Network: Send + Sync + Sized + 'static {
    /// The class of image processor whose defaults count where the snapshot names none.
    const IMAGE_PROCESSOR: &'static str;

    /// Loads the network of a checkpoint.
    fn load(weights: &Weights, config: &Value) -> Result<Self, WeightsError>;

    /// Images `[batch, 3, height, width]` to what the network says of them.
    fn forward(&self, pixel_values: &Tensor) -> EngineResult<Estimate>;

    /// What the numbers of an answer are.
    fn unit(&self) -> DepthUnit;

    /// What the network says of one picture in that picture's size: the reference's `post_process_depth_estimation`, of
    /// most image processors a bicubic resize.
    fn finish(&self, estimate: &Estimate, asked: &Asked<'_>) -> EngineResult<Finished> {
        let depth = resized(&estimate.depth, asked.size, Filter::Bicubic)?;
        Ok(Finished { depth, focal: None })
    }
}

/// What a network says of images.
pub(crate) struct Estimate {
    /// `predicted_depth`, `[batch, height, width]`.
    pub(crate) depth: Tensor,
    /// What else it says, under the reference's names.
    pub(crate) more: Vec<(&'static str, Tensor)>,
}

/// What is asked of one picture.
pub(crate) struct Asked<'a> {
    /// Rows and columns of the displayed picture.
    pub(crate) size: [usize; 2],
    pub(crate) processor: &'a ImageProcessor,
    pub(crate) options: &'a DepthOptions,
}

/// The answer to one picture.
pub(crate) struct Finished {
    /// `[height, width]` of the displayed picture.
    pub(crate) depth: Tensor,
    /// The estimated focal length in pixels of the displayed picture.
    pub(crate) focal: Option<f32>,
}

/// `[1, height, width]` to `[rows, columns]`.
pub(crate) fn resized(depth: &Tensor, [rows, columns]: [usize; 2], filter: Filter) -> EngineResult<Tensor> {
    resize(&depth.unsqueeze(0)?, [rows, columns], filter, Alignment::Edges)?.reshape((rows, columns))
}

/// A loaded model.
///
/// It answers pictures one by one: they keep their aspect, so few have one size, and a picture gets the same bits whatever
/// stands beside it.
pub(crate) struct Estimator<N> {
    id: String,
    network: N,
    processor: ImageProcessor,
    device: Device,
    precision: Precision,
}

impl<N: Network> Estimator<N> {
    /// Loads a snapshot.
    pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Depth>>> {
        Ok(Box::new(Self::open(local, runtime)?))
    }

    pub(crate) fn open(local: &LocalModel, runtime: &Runtime) -> Result<Self> {
        let (device, precision) = device_and_precision(runtime)?;
        let config = configuration(local)?;
        let processor = ImageProcessor::open(local, N::IMAGE_PROCESSOR)?;
        let weights = Weights::open_safetensors(local, &device)?.in_precision(precision);
        let network = N::load(&weights, &config).map_err(|error| error.of(&local.id))?;
        Ok(Self { id: local.id.clone(), network, processor, device, precision })
    }

    #[cfg(test)]
    pub(crate) fn network(&self) -> &N {
        &self.network
    }

    fn predict_one(&self, input: &DepthInput) -> Result<Predicted<DepthMap>> {
        let began = Instant::now();
        let prepared = self.processor.prepare(&input.image)?;
        let prepare = milliseconds(began);
        let began = Instant::now();
        let estimate = prepared
            .into_tensor(&self.device)
            .and_then(|pixels| self.network.forward(&pixels))
            .map_err(compute_error(&self.id))?;
        let model = milliseconds(began);
        let began = Instant::now();
        let output = self.answer(&estimate, input).map_err(compute_error(&self.id))?;
        let timings = Timings { prepare, model, finish: milliseconds(began), ..Timings::default() };
        Ok(Predicted { output, timings })
    }

    fn answer(&self, estimate: &Estimate, input: &DepthInput) -> EngineResult<DepthMap> {
        let (width, height) = input.image.size();
        let asked = Asked {
            size: [height as usize, width as usize],
            processor: &self.processor,
            options: &input.options,
        };
        let Finished { depth, focal } = self.network.finish(estimate, &asked)?;
        let values = depth.flatten_all()?.to_vec1::<f32>()?;
        let wrong = values.iter().filter(|value| !value.is_finite()).count();
        if wrong > 0 || focal.is_some_and(|focal| !focal.is_finite()) {
            return Err(EngineError::Msg(format!(
                "{wrong} of {} depths are no finite numbers; focal length: {focal:?}",
                values.len()
            )));
        }
        Ok(DepthMap { width, height, values, unit: self.network.unit(), focal })
    }
}

impl<N: Network> Model<Depth> for Estimator<N> {
    fn predict(&self, inputs: &[DepthInput]) -> Result<Vec<Predicted<DepthMap>>> {
        on_compute_threads(|| inputs.iter().map(|input| self.predict_one(input)).collect())
    }

    /// `pixel_values`, `predicted_depth`, and what else the reference's output has.
    fn raw(&self, input: &DepthInput) -> Result<Vec<RawTensor>> {
        let run = || {
            let pixels = self.processor.prepare(&input.image)?.into_tensor(&self.device);
            let tensors = pixels.and_then(|pixels| {
                let Estimate { depth, more } = self.network.forward(&pixels)?;
                let named = [("pixel_values", pixels), ("predicted_depth", depth)].into_iter().chain(more);
                named.map(|(name, tensor)| raw_floats(name, Ok(tensor))).collect::<EngineResult<Vec<_>>>()
            });
            tensors.map_err(compute_error(&self.id))
        };
        on_compute_threads(run)
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}
