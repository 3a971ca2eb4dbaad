//! A network whose queries answer with boxes, as a model.

use std::sync::Arc;
use std::time::Instant;

use percept_backbone::checkpoint::{
    ClassNames, configuration, count, device_and_precision, milliseconds, raw_floats,
};
use percept_backbone::image_processor::{Canvas, ImageProcessor, Prepared};
use percept_backbone::{
    Alignment, Device, Filter, Result as EngineResult, Tensor, Weights, WeightsError, compute_error,
    on_compute_threads, resize,
};
use percept_core::detect::{DetectInput, Detection, Detections, Image, Label, Mask};
use percept_core::{
    Detect, Error, LocalModel, Model, Precision, Predicted, RawTensor, Result, Runtime, Timings,
};
use serde_json::Value;

use crate::scores::{Candidate, Outputs, Scores};

/// Boxes below this score are dropped where nothing else is asked, as in transformers.
const THRESHOLD: f32 = 0.5;

/// From pixels to boxes.
pub(crate) trait Network: Send + Sync + Sized + 'static {
    /// How logits become scores.
    const SCORES: Scores;
    /// The class of image processor whose defaults count where the snapshot names none.
    const IMAGE_PROCESSOR: &'static str;

    /// Loads the network of a checkpoint with that many classes; "no object" is not among them.
    fn load(weights: &Weights, config: &Value, classes: usize) -> Result<Self, WeightsError>;

    /// Images `[batch, 3, height, width]`, without borders, to boxes.
    fn forward(&self, pixel_values: &Tensor) -> EngineResult<Outputs>;
}

/// A loaded model.
pub(crate) struct Detector<N> {
    id: String,
    network: N,
    processor: ImageProcessor,
    classes: ClassNames,
    device: Device,
    precision: Precision,
}

impl<N: Network> Detector<N> {
    /// Loads a snapshot.
    pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Detect>>> {
        let (device, precision) = device_and_precision(runtime)?;
        let config = configuration(local)?;
        let processor = ImageProcessor::open(local, N::IMAGE_PROCESSOR)?;
        let weights = Weights::open_safetensors(local, &device)?.in_precision(precision);
        let build = || {
            let classes = ClassNames::of(&config, class_count(&config)?);
            Ok((N::load(&weights, &config, classes.count())?, classes))
        };
        let (network, classes) = build().map_err(|error: WeightsError| error.of(&local.id))?;
        Ok(Box::new(Self { id: local.id.clone(), network, processor, classes, device, precision }))
    }

    fn predict_all(&self, inputs: &[DetectInput]) -> Result<Vec<Predicted<Detections>>> {
        let mut prepared = Vec::with_capacity(inputs.len());
        let mut timings = Vec::with_capacity(inputs.len());
        for input in inputs {
            let began = Instant::now();
            prepared.push(self.prepare(&input.image)?);
            timings.push(Timings { prepare: milliseconds(began), ..Timings::default() });
        }
        let mut outputs = Vec::with_capacity(inputs.len());
        // Pictures of one size share a forward pass.
        for together in prepared.chunk_by(|a, b| a.canvas.size == b.canvas.size) {
            let began = Instant::now();
            let answers = self.forward(together).map_err(compute_error(&self.id))?;
            let model = milliseconds(began) / together.len() as f64;
            for (at, part) in together.iter().enumerate() {
                let began = Instant::now();
                let input = &inputs[outputs.len()];
                let output =
                    self.finish(&answers, at, &part.canvas, input).map_err(compute_error(&self.id))?;
                let finish = milliseconds(began);
                let timings = std::mem::take(&mut timings[outputs.len()]);
                outputs.push(Predicted { output, timings: Timings { model, finish, ..timings } });
            }
        }
        Ok(outputs)
    }

    fn prepare(&self, image: &Arc<Image>) -> Result<Prepared> {
        self.processor.prepare(image)
    }

    fn forward(&self, together: &[Prepared]) -> EngineResult<Outputs> {
        self.network.forward(&Prepared::batch(together, &self.device)?)
    }

    fn finish(
        &self,
        outputs: &Outputs,
        at: usize,
        canvas: &Canvas,
        input: &DetectInput,
    ) -> EngineResult<Detections> {
        let threshold = input.options.score.unwrap_or(THRESHOLD);
        let candidates = N::SCORES.candidates(outputs, at, threshold)?;
        let detections = candidates.into_iter().filter(|found| found.class < self.classes.count());
        let detection = |found: Candidate| {
            let mask = outputs.masks.as_ref().map(|masks| mask_of(&masks.get(at)?.get(found.query)?, canvas));
            Ok(Detection {
                label: self.classes.label(found.class),
                score: found.score,
                bounding_box: in_picture(found.corners, canvas.original),
                mask: mask.transpose()?,
            })
        };
        let (width, height) = canvas.original;
        Ok(Detections { width, height, detections: detections.map(detection).collect::<EngineResult<_>>()? })
    }
}

impl<N: Network> Model<Detect> for Detector<N> {
    fn predict(&self, inputs: &[DetectInput]) -> Result<Vec<Predicted<Detections>>> {
        if inputs.iter().any(|input| !input.options.texts.is_empty()) {
            return Err(Error::Argument {
                message: format!("`{}` knows {} classes and reads no texts", self.id, self.classes.count()),
                hint: Some("choose among its classes with `--class`, or use Grounding DINO".into()),
            });
        }
        on_compute_threads(|| self.predict_all(inputs))
    }

    fn batch(&self) -> usize {
        BATCH
    }

    fn raw(&self, input: &DetectInput) -> Result<Vec<RawTensor>> {
        let pixels = self.prepare(&input.image)?;
        let run = || {
            let pixels = pixels.into_tensor(&self.device)?;
            let Outputs { logits, boxes, masks } = self.network.forward(&pixels)?;
            let named =
                [("pixel_values", Some(pixels)), ("logits", Some(logits)), ("pred_boxes", Some(boxes))];
            let all = named.into_iter().chain([("pred_masks", masks)]);
            all.filter_map(|(name, tensor)| Some(raw_floats(name, Ok(tensor?))))
                .collect::<EngineResult<Vec<_>>>()
        };
        on_compute_threads(run).map_err(compute_error(&self.id))
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn labels(&self) -> &[Label] {
        self.classes.labels()
    }
}

/// Pictures that are worth handing over at once.
const BATCH: usize = 4;

/// `id2label`, or else `num_labels`, counts the classes.
fn class_count(config: &Value) -> Result<usize, WeightsError> {
    match config["id2label"].as_object() {
        Some(names) => Ok(names.len()),
        None => count(config, "num_labels", 2),
    }
}

/// Parts of a canvas that the whole picture fills as pixels of the picture, and nothing outside of it.
pub(crate) fn in_picture(corners: [f32; 4], (width, height): (u32, u32)) -> [f32; 4] {
    let [left, top, right, bottom] = corners;
    let along = |part: f32, size: u32| (part * size as f32).clamp(0.0, size as f32);
    [along(left, width), along(top, height), along(right, width), along(bottom, height)]
}

/// The pixels of the picture where interpolated logits `[rows, columns]` are above 0.
fn mask_of(logits: &Tensor, canvas: &Canvas) -> EngineResult<Mask> {
    let (width, height) = canvas.original;
    let logits = logits.unsqueeze(0)?.unsqueeze(0)?;
    let logits = resize(&logits, [height as usize, width as usize], Filter::Bilinear, Alignment::Edges)?;
    let inside: Vec<u8> =
        logits.flatten_all()?.to_vec1::<f32>()?.into_iter().map(|logit| u8::from(logit > 0.0)).collect();
    Ok(Mask::from_pixels(width, height, &inside))
}
