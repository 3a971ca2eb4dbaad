//! CLIPSeg (Lüddecke & Ecker 2022, arXiv 2112.10003): what a text names. Any Hugging Face snapshot of
//! `CLIPSegForImageSegmentation`.

mod answers;
mod config;
mod decoder;
#[cfg(test)]
mod golden;
mod network;

use std::sync::Arc;
use std::time::Instant;

use percept_backbone::checkpoint::{configuration, device_and_precision, milliseconds, raw_floats};
use percept_backbone::clip_text::ClipTokenizer;
use percept_backbone::image_processor::ImageProcessor;
use percept_backbone::{Device, Tensor, Weights, compute_error, on_compute_threads};
use percept_core::segment::{Image, SegmentInput, SegmentRequest, Segmentation, SegmentationKind};
use percept_core::{
    Error, LocalModel, Model, Precision, Predicted, RawTensor, RawValues, Result, Runtime, Segment, Timings,
};

use crate::refusal::refusal;
use config::Shape;
use network::{Network, Seen};

/// A loaded CLIPSeg.
struct ClipSeg {
    id: String,
    processor: ImageProcessor,
    tokenizer: ClipTokenizer,
    network: Network,
    device: Device,
    precision: Precision,
}

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Segment>>> {
    Ok(Box::new(ClipSeg::load(local, runtime)?))
}

impl ClipSeg {
    fn load(local: &LocalModel, runtime: &Runtime) -> Result<Self> {
        let (device, precision) = device_and_precision(runtime)?;
        let config = configuration(local)?;
        let weights = Weights::open_safetensors(local, &device)?.in_precision(precision);
        let network = Shape::of(&config).and_then(|shape| Network::load(&weights, &shape));
        Ok(Self {
            id: local.id.clone(),
            processor: ImageProcessor::open(local, "ViTImageProcessor")?,
            tokenizer: ClipTokenizer::open(local)?,
            network: network.map_err(|error| error.of(&local.id))?,
            device,
            precision,
        })
    }

    /// The texts of a request, and their tokens.
    fn texts<'a>(&self, request: &'a SegmentRequest) -> Result<(&'a [String], Vec<Vec<u32>>)> {
        let SegmentRequest::Text(texts) = request else {
            return Err(refusal(&self.id, request));
        };
        if texts.is_empty() {
            return Err(Error::argument(format!("`{}` wants a text that names what to look for", self.id)));
        }
        let capacity = self.network.text_capacity();
        let tokens = |text: &String| {
            let tokens = self.tokenizer.tokens(text)?;
            match tokens.len() > capacity {
                true => Err(Error::Argument {
                    message: format!(
                        "the text {text:?} has {} tokens; `{}` reads {capacity}",
                        tokens.len(),
                        self.id
                    ),
                    hint: Some("a few words are enough".into()),
                }),
                false => Ok(tokens),
            }
        };
        Ok((texts, texts.iter().map(tokens).collect::<Result<_>>()?))
    }

    fn prepare(&self, image: &Image) -> Result<Tensor> {
        self.processor.prepare(image)?.into_tensor(&self.device).map_err(compute_error(&self.id))
    }

    /// The network's answer to each text, `[texts, height, width]`.
    fn logits(&self, seen: &Seen, tokens: &[Vec<u32>]) -> Result<Tensor> {
        self.network
            .read(tokens)
            .and_then(|texts| self.network.logits(seen, &texts))
            .map_err(compute_error(&self.id))
    }

    /// A picture that several inputs in a row share is looked at once.
    fn predict_all(&self, inputs: &[SegmentInput]) -> Result<Vec<Predicted<Segmentation>>> {
        let mut last: Option<(&Arc<Image>, Seen)> = None;
        let mut outputs = Vec::with_capacity(inputs.len());
        for input in inputs {
            let mut timings = Timings::default();
            let (texts, tokens) = self.texts(&input.options.request)?;
            let seen = match last.take().filter(|(image, _)| Arc::ptr_eq(image, &input.image)) {
                Some((_, seen)) => seen,
                None => {
                    let began = Instant::now();
                    let pixels = self.prepare(&input.image)?;
                    timings.prepare = milliseconds(began);
                    let began = Instant::now();
                    let seen = self.network.look(&pixels).map_err(compute_error(&self.id))?;
                    timings.model = milliseconds(began);
                    seen
                }
            };
            let began = Instant::now();
            let logits = self.logits(&seen, &tokens)?;
            timings.model += milliseconds(began);
            let began = Instant::now();
            let instances = answers::instances(&logits, input.image.size(), texts);
            let instances = instances.map_err(compute_error(&self.id))?;
            let (width, height) = input.image.size();
            let output = Segmentation { width, height, kind: SegmentationKind::Text, instances };
            timings.finish = milliseconds(began);
            outputs.push(Predicted { output, timings });
            last = Some((&input.image, seen));
        }
        Ok(outputs)
    }

    /// The tokens of texts in one table, as transformers' processor fills them up (`padding=True`).
    fn input_ids(&self, tokens: &[Vec<u32>]) -> RawTensor {
        let longest = tokens.iter().map(Vec::len).max().unwrap_or(0);
        let row = |ids: &Vec<u32>| {
            let end = ids.last().copied().unwrap_or_default();
            let filled = ids.iter().copied().chain(std::iter::repeat(end)).take(longest);
            filled.map(i64::from).collect::<Vec<_>>()
        };
        let values = tokens.iter().flat_map(row).collect();
        RawTensor {
            name: "input_ids".into(),
            shape: vec![tokens.len(), longest],
            values: RawValues::I64(values),
        }
    }
}

impl Model<Segment> for ClipSeg {
    fn predict(&self, inputs: &[SegmentInput]) -> Result<Vec<Predicted<Segmentation>>> {
        on_compute_threads(|| self.predict_all(inputs))
    }

    /// `pixel_values` `[1, 3, height, width]` (transformers repeats it for each text), `input_ids` and `logits`.
    fn raw(&self, input: &SegmentInput) -> Result<Vec<RawTensor>> {
        on_compute_threads(|| {
            let (_, tokens) = self.texts(&input.options.request)?;
            let pixels = self.prepare(&input.image)?;
            let seen = self.network.look(&pixels).map_err(compute_error(&self.id))?;
            let logits = self.logits(&seen, &tokens)?;
            let floats = |name, tensor| raw_floats(name, Ok(tensor)).map_err(compute_error(&self.id));
            Ok(vec![floats("pixel_values", pixels)?, self.input_ids(&tokens), floats("logits", logits)?])
        })
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}
