//! SegFormer (Xie et al. 2021, arXiv 2105.15203): a class for every pixel. Any Hugging Face snapshot of
//! `SegformerForSemanticSegmentation`, B0 to B5, whatever it was trained on.

#[cfg(test)]
mod golden;
mod network;
mod semantic;

use std::time::Instant;

use percept_backbone::checkpoint::{
    ClassNames, configuration, device_and_precision, milliseconds, raw_floats,
};
use percept_backbone::image_processor::{ImageProcessor, Prepared};
use percept_backbone::{Device, Tensor, Weights, compute_error, on_compute_threads};
use percept_core::segment::{
    Image, Label, SegmentInput, SegmentRequest, Segmentation, SegmentationKind, WholeKind,
};
use percept_core::{LocalModel, Model, Precision, Predicted, RawTensor, Result, Runtime, Segment, Timings};

use crate::refusal::refusal;
use network::Network;

/// A loaded SegFormer.
struct SegFormer {
    id: String,
    processor: ImageProcessor,
    network: Network,
    names: ClassNames,
    device: Device,
    precision: Precision,
}

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Segment>>> {
    Ok(Box::new(SegFormer::load(local, runtime)?))
}

impl SegFormer {
    fn load(local: &LocalModel, runtime: &Runtime) -> Result<Self> {
        let (device, precision) = device_and_precision(runtime)?;
        let config = configuration(local)?;
        let weights = Weights::open_safetensors(local, &device)?.in_precision(precision);
        let network = Network::load(&weights, &config).map_err(|error| error.of(&local.id))?;
        Ok(Self {
            id: local.id.clone(),
            processor: ImageProcessor::open(local, "SegformerImageProcessor")?,
            names: ClassNames::of(&config, network.classes()),
            network,
            device,
            precision,
        })
    }

    /// Logits `[count, classes, height, width]` of canvases of one size.
    fn logits(&self, prepared: &[Prepared]) -> Result<Tensor> {
        Prepared::batch(prepared, &self.device)
            .and_then(|pixels| self.network.logits(&pixels))
            .map_err(compute_error(&self.id))
    }

    fn answer(&self, image: &Image, logits: &Tensor) -> Result<Segmentation> {
        let instances =
            semantic::instances(logits, image.size(), &self.names).map_err(compute_error(&self.id))?;
        let (width, height) = image.size();
        Ok(Segmentation { width, height, kind: SegmentationKind::Semantic, instances })
    }

    /// Pictures whose canvases have one size go through the network together.
    fn predict_all(&self, inputs: &[SegmentInput]) -> Result<Vec<Predicted<Segmentation>>> {
        let mut prepared = Vec::with_capacity(inputs.len());
        let mut timings = vec![Timings::default(); inputs.len()];
        for (input, timings) in inputs.iter().zip(&mut timings) {
            if !answers(&input.options.request) {
                return Err(refusal(&self.id, &input.options.request));
            }
            let began = Instant::now();
            prepared.push(self.processor.prepare(&input.image)?);
            timings.prepare = milliseconds(began);
        }
        let mut outputs = Vec::with_capacity(inputs.len());
        while outputs.len() < inputs.len() {
            let first = outputs.len();
            let size = prepared[first].canvas.size;
            let together = prepared[first..].iter().take_while(|part| part.canvas.size == size).count();
            let began = Instant::now();
            let logits = self.logits(&prepared[first..first + together])?;
            let model = milliseconds(began) / together as f64;
            for index in 0..together {
                let began = Instant::now();
                let logits = logits.get(index).map_err(compute_error(&self.id))?;
                let output = self.answer(&inputs[first + index].image, &logits)?;
                let finish = milliseconds(began);
                outputs.push(Predicted {
                    output,
                    timings: Timings { model, finish, ..timings[first + index].clone() },
                });
            }
        }
        Ok(outputs)
    }
}

impl Model<Segment> for SegFormer {
    fn predict(&self, inputs: &[SegmentInput]) -> Result<Vec<Predicted<Segmentation>>> {
        on_compute_threads(|| self.predict_all(inputs))
    }

    /// `pixel_values` and `logits`.
    fn raw(&self, input: &SegmentInput) -> Result<Vec<RawTensor>> {
        on_compute_threads(|| {
            let prepared = [self.processor.prepare(&input.image)?];
            let logits = self.logits(&prepared)?;
            let pixels = Prepared::batch(&prepared, &Device::Cpu);
            let tensors = [("pixel_values", pixels), ("logits", Ok(logits))];
            tensors
                .into_iter()
                .map(|(name, x)| raw_floats(name, x).map_err(compute_error(&self.id)))
                .collect()
        })
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn labels(&self) -> &[Label] {
        self.names.labels()
    }
}

fn answers(request: &SegmentRequest) -> bool {
    matches!(request, SegmentRequest::Whole(WholeKind::Auto | WholeKind::Semantic))
}
