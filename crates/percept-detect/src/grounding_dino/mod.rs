//! Grounding DINO (Liu et al. 2023, arXiv 2303.05499): boxes of what texts name. Any Hugging Face snapshot of
//! `GroundingDinoForObjectDetection`.

mod config;
mod decoder;
mod encoder;
mod features;
#[cfg(test)]
mod golden;
mod network;
mod texts;

use std::time::Instant;

use percept_backbone::bert::BertTokenizer;
use percept_backbone::checkpoint::{configuration, device_and_precision, milliseconds, raw_floats};
use percept_backbone::image_processor::{ImageProcessor, Prepared};
use percept_backbone::{Device, Result as EngineResult, Tensor, Weights, compute_error, on_compute_threads};
use percept_core::detect::{DetectInput, Detection, Detections, Label};
use percept_core::{
    Detect, Error, LocalModel, Model, Precision, Predicted, RawTensor, RawValues, Result, Runtime, Timings,
};

use crate::detector::in_picture;
use crate::scores::{Candidate, Outputs, Scores, sigmoid};
use config::Shape;
use decoder::Decoded;
use network::{Network, Read};
use texts::Prompt;

/// Boxes, and words of their phrases, below this score are dropped where nothing else is asked, as in transformers.
const THRESHOLD: f32 = 0.25;

/// A loaded Grounding DINO.
struct GroundingDino {
    id: String,
    processor: ImageProcessor,
    tokenizer: BertTokenizer,
    network: Network,
    /// Tokens that a line of texts may have.
    capacity: usize,
    device: Device,
    precision: Precision,
}

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Detect>>> {
    let (device, precision) = device_and_precision(runtime)?;
    let config = configuration(local)?;
    let weights = Weights::open_safetensors(local, &device)?.in_precision(precision);
    let build = Shape::of(&config).and_then(|shape| Ok((Network::load(&weights, &shape)?, shape)));
    let (network, shape) = build.map_err(|error| error.of(&local.id))?;
    Ok(Box::new(GroundingDino {
        id: local.id.clone(),
        processor: ImageProcessor::open(local, "GroundingDinoImageProcessor")?,
        tokenizer: BertTokenizer::open(local)?,
        capacity: shape.tokens,
        network,
        device,
        precision,
    }))
}

impl GroundingDino {
    /// The tokens of what an input asks for.
    fn prompt(&self, texts: &[String]) -> Result<Prompt> {
        if texts.is_empty() {
            return Err(Error::Argument {
                message: format!("`{}` wants texts that name what to look for", self.id),
                hint: Some("say it with `--text \"a red mug, a price tag\"`".into()),
            });
        }
        let prompt = Prompt::new(texts, &self.tokenizer)?;
        let (count, capacity) = (prompt.ids.len(), self.capacity);
        if count > capacity {
            return Err(Error::Argument {
                message: format!("the texts have {count} tokens together; `{}` reads {capacity}", self.id),
                hint: Some("ask for fewer things at a time".into()),
            });
        }
        Ok(prompt)
    }

    fn compute<T>(&self, result: EngineResult<T>) -> Result<T> {
        result.map_err(compute_error(&self.id))
    }

    fn decoded(&self, prepared: Prepared, read: &Read) -> EngineResult<Decoded> {
        let pixels = prepared.into_tensor(&self.device)?;
        self.network.decode(&self.network.encode(&pixels, read)?)
    }

    /// Texts that several inputs in a row share are read once.
    fn predict_all(&self, inputs: &[DetectInput]) -> Result<Vec<Predicted<Detections>>> {
        let mut outputs = Vec::with_capacity(inputs.len());
        let mut last: Option<(&[String], Read)> = None;
        for input in inputs {
            let texts = input.options.texts.as_slice();
            let began = Instant::now();
            let prepared = self.processor.prepare(&input.image)?;
            let prepare = milliseconds(began);
            let began = Instant::now();
            let read = match last.take().filter(|(of, _)| *of == texts) {
                Some((_, read)) => read,
                None => self.compute(self.network.read(self.prompt(texts)?))?,
            };
            let decoded = self.compute(self.decoded(prepared, &read))?;
            let model = milliseconds(began);
            let began = Instant::now();
            let output = self.finish(decoded, &read.prompt, input)?;
            let timings = Timings { prepare, model, finish: milliseconds(began), ..Timings::default() };
            outputs.push(Predicted { output, timings });
            last = Some((texts, read));
        }
        Ok(outputs)
    }

    /// `post_process_grounded_object_detection`. A label has the phrase as its name and the number of the text that its
    /// likeliest word belongs to.
    fn finish(&self, decoded: Decoded, prompt: &Prompt, input: &DetectInput) -> Result<Detections> {
        let (width, height) = input.image.size();
        let threshold = input.options.score.unwrap_or(THRESHOLD);
        let text_threshold = input.options.text_score.unwrap_or(THRESHOLD);
        let Decoded { logits, boxes } = decoded;
        let outputs = Outputs { logits, boxes, masks: None };
        let candidates = self.compute(Scores::Best.candidates(&outputs, 0, threshold))?;
        let logits = self.compute(outputs.logits.get(0).and_then(|logits| logits.to_vec2::<f32>()))?;
        let detection = |found: Candidate| {
            let logits = &logits[found.query];
            let told = (0..logits.len()).filter(|token| {
                // Neither the start of the line nor the last token that the model can read is part of a phrase.
                *token > 0 && token + 1 < self.capacity && sigmoid(logits[*token]) > text_threshold
            });
            let ids: Vec<u32> = told.map(|token| prompt.ids[token]).collect();
            let of_text = (0..logits.len()).filter(|token| prompt.texts[*token].is_some());
            let likeliest = of_text.max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
            let text = likeliest.and_then(|token| prompt.texts[token]).unwrap_or(0);
            Ok(Detection {
                label: Label { id: text as u32, name: self.tokenizer.text(&ids)? },
                score: found.score,
                bounding_box: in_picture(found.corners, (width, height)),
                mask: None,
            })
        };
        let detections = candidates.into_iter().map(detection).collect::<Result<_>>()?;
        Ok(Detections { width, height, detections })
    }

    fn raw_all(&self, input: &DetectInput) -> Result<Vec<RawTensor>> {
        let prompt = self.prompt(&input.options.texts)?;
        let prepared = self.processor.prepare(&input.image)?;
        let run = || {
            let pixels = prepared.into_tensor(&self.device)?;
            let ids = prompt.ids.iter().map(|id| i64::from(*id)).collect();
            let shape = vec![1, prompt.ids.len()];
            let input_ids = RawTensor { name: "input_ids".into(), shape, values: RawValues::I64(ids) };
            let read = self.network.read(prompt)?;
            let Decoded { logits, boxes } = self.network.decode(&self.network.encode(&pixels, &read)?)?;
            let logits = self.filled_up(&logits)?;
            Ok(vec![
                raw_floats("pixel_values", Ok(pixels))?,
                input_ids,
                raw_floats("logits", Ok(logits))?,
                raw_floats("pred_boxes", Ok(boxes))?,
            ])
        };
        self.compute(run())
    }

    /// Logits of all tokens that there could be, as the reference gives them: minus infinity where there are none.
    fn filled_up(&self, logits: &Tensor) -> EngineResult<Tensor> {
        let (batch, queries, tokens) = logits.dims3()?;
        let nothing = vec![f32::NEG_INFINITY; batch * queries * (self.capacity - tokens)];
        let nothing = Tensor::from_vec(nothing, (batch, queries, self.capacity - tokens), logits.device())?;
        Tensor::cat(&[logits, &nothing], 2)
    }
}

impl Model<Detect> for GroundingDino {
    fn predict(&self, inputs: &[DetectInput]) -> Result<Vec<Predicted<Detections>>> {
        on_compute_threads(|| self.predict_all(inputs))
    }

    /// `pixel_values`, `input_ids`, and `logits` and `pred_boxes` of all queries.
    fn raw(&self, input: &DetectInput) -> Result<Vec<RawTensor>> {
        on_compute_threads(|| self.raw_all(input))
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}
