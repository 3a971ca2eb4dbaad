//! A network whose queries answer, as a model.

use std::sync::Arc;
use std::time::Instant;

use percept_backbone::checkpoint::{configuration, device_and_precision, milliseconds, raw_floats};
use percept_backbone::image_processor::{Canvas, ImageProcessor, Prepared};
use percept_backbone::on_compute_threads;
use percept_backbone::{Device, Result as EngineResult, Tensor, Weights, WeightsError, compute_error};
use percept_core::segment::{
    Image, Instance, Label, SegmentInput, SegmentOptions, SegmentRequest, Segmentation, SegmentationKind,
    WholeKind,
};
use percept_core::{
    Error, LocalModel, Model, Precision, Predicted, RawTensor, Result, Runtime, Segment, Timings,
};
use serde_json::Value;

use super::checkpoint::Checkpoint;
use super::instance::instances;
use super::panoptic::panoptic;
use super::semantic::{Part, semantic};
use super::{Outputs, Projection, Recipe};
use crate::refusal::refusal;

/// Side of the masks of which Mask2Former's image processor makes probabilities, whatever the network saw.
const MASK2FORMER_SIDE: usize = 384;

/// From pixels to queries.
pub(crate) trait Network: Send + Sync + Sized + 'static {
    /// Whose post-processing follows.
    const RECIPE: Recipe;
    /// The class of image processor whose defaults count where the snapshot names none.
    const IMAGE_PROCESSOR: &'static str;

    /// Loads the network of a checkpoint with that many classes.
    fn load(weights: &Weights, config: &Value, classes: usize) -> Result<Self, WeightsError>;

    /// Images `[batch, 3, height, width]` to logits.
    fn forward(&self, pixel_values: &Tensor) -> EngineResult<Outputs>;
}

/// A loaded model.
pub(crate) struct Segmenter<N> {
    id: String,
    network: N,
    processor: ImageProcessor,
    checkpoint: Checkpoint,
    /// Whether pictures are cut into parts, which only a semantic map is made of.
    in_parts: bool,
    device: Device,
    precision: Precision,
}

/// A picture behind the network.
struct Seen {
    parts: Vec<Part>,
    /// Of the first part.
    canvas: Canvas,
    timings: Timings,
}

impl<N: Network> Segmenter<N> {
    /// Loads a snapshot.
    pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Segment>>> {
        let (device, precision) = device_and_precision(runtime)?;
        let config = configuration(local)?;
        let processor = ImageProcessor::open(local, N::IMAGE_PROCESSOR)?;
        let in_parts = cuts(local);
        let weights = Weights::open_safetensors(local, &device)?.in_precision(precision);
        let build = || {
            let checkpoint = Checkpoint::of(local, &config, in_parts)?;
            Ok((N::load(&weights, &config, checkpoint.classes())?, checkpoint))
        };
        let (network, checkpoint) = build().map_err(|error: WeightsError| error.of(&local.id))?;
        let id = local.id.clone();
        Ok(Box::new(Self { id, network, processor, checkpoint, in_parts, device, precision }))
    }

    /// The pictures' parts through the network: of one size together, no more of them than there are pictures.
    fn see(&self, images: &[&Arc<Image>]) -> Result<Vec<Seen>> {
        let mut prepared = Vec::new();
        let mut seen = Vec::with_capacity(images.len());
        for (index, image) in images.iter().enumerate() {
            let began = Instant::now();
            let parts = self.processor.prepare_parts(image)?;
            let canvas = parts.first().map(|part| part.canvas);
            let canvas = canvas.ok_or_else(|| Error::argument("the picture has no part"))?;
            prepared.extend(parts.into_iter().map(|part| (index, part)));
            let timings = Timings { prepare: milliseconds(began), ..Timings::default() };
            seen.push(Seen { parts: vec![], canvas, timings });
        }
        let of_one_size = prepared.chunk_by(|(_, a), (_, b)| a.canvas.size == b.canvas.size);
        for together in of_one_size.flat_map(|parts| parts.chunks(images.len())) {
            let began = Instant::now();
            let outputs = self.forward(together).map_err(compute_error(&self.id))?;
            let model = milliseconds(began) / together.len() as f64;
            for (at, (index, part)) in together.iter().enumerate() {
                let queries = outputs.of(at).map_err(compute_error(&self.id))?;
                let offset = [part.canvas.offset.1, part.canvas.offset.0].map(|at| at.max(0) as usize);
                seen[*index].parts.push(Part { queries, offset });
                seen[*index].timings.model += model;
            }
        }
        Ok(seen)
    }

    /// The network's answers to parts of one size.
    fn forward(&self, parts: &[(usize, Prepared)]) -> EngineResult<Outputs> {
        let pixels = parts.iter().map(|(_, part)| self.pixels(part)).collect::<EngineResult<Vec<_>>>()?;
        match pixels.as_slice() {
            [one] => self.network.forward(one),
            several => self.network.forward(&Tensor::cat(several, 0)?),
        }
    }

    /// `[1, 3, height, width]`.
    fn pixels(&self, prepared: &Prepared) -> EngineResult<Tensor> {
        let (width, height) = prepared.canvas.size;
        Tensor::from_slice(&prepared.pixels, (1, 3, height as usize, width as usize), &self.device)
    }

    /// How a picture is divided that was asked to be `request`.
    fn kind(&self, request: &SegmentRequest) -> Result<SegmentationKind> {
        let kind = match request {
            SegmentRequest::Whole(WholeKind::Auto) => self.checkpoint.purpose,
            SegmentRequest::Whole(WholeKind::Panoptic) => SegmentationKind::Panoptic,
            SegmentRequest::Whole(WholeKind::Instance) => SegmentationKind::Instance,
            SegmentRequest::Whole(WholeKind::Semantic) => SegmentationKind::Semantic,
            other => return Err(refusal(&self.id, other)),
        };
        if self.in_parts && kind != SegmentationKind::Semantic {
            return Err(Error::Argument {
                message: format!(
                    "`{}` sees a picture in parts, which make a semantic map and nothing else",
                    self.id
                ),
                hint: Some("use a model that was trained for panoptic or instance segmentation".into()),
            });
        }
        Ok(kind)
    }

    /// From queries to segments.
    fn finish(&self, seen: &Seen, options: &SegmentOptions) -> Result<Segmentation> {
        let kind = self.kind(&options.request)?;
        let rows_first = |(columns, rows): (u32, u32)| [rows as usize, columns as usize];
        let Canvas { original, resized, size, .. } = seen.canvas;
        let picture = rows_first(original);
        let projection = match N::RECIPE {
            Recipe::Eomt => Projection { input: rows_first(size), shown: rows_first(resized), picture },
            // A single picture has no border: it is stretched to what the network takes.
            Recipe::Mask2Former => Projection::direct([MASK2FORMER_SIDE; 2], picture),
        };
        let threshold = options.score.unwrap_or(match N::RECIPE {
            Recipe::Eomt => 0.8,
            Recipe::Mask2Former => 0.5,
        });
        let is_stuff = |class: usize| self.checkpoint.is_stuff(class);
        let queries = &seen.parts[0].queries;
        let mut segments = match kind {
            SegmentationKind::Semantic => {
                semantic(&seen.parts, projection).map_err(compute_error(&self.id))?
            }
            SegmentationKind::Instance => {
                instances(queries, projection, N::RECIPE, threshold, |class| !is_stuff(class))
            }
            _ => panoptic(queries, projection, N::RECIPE, threshold, is_stuff),
        };
        if let (SegmentationKind::Semantic, Some(least)) = (kind, options.score) {
            segments.retain(|segment| segment.score >= least);
        }
        let instances = segments.into_iter().zip(1..).map(|(segment, id)| {
            Instance::new(id, segment.mask, segment.score, Some(self.checkpoint.label(segment.label)))
        });
        Ok(Segmentation { width: original.0, height: original.1, kind, instances: instances.collect() })
    }
}

impl<N: Network> Model<Segment> for Segmenter<N> {
    fn predict(&self, inputs: &[SegmentInput]) -> Result<Vec<Predicted<Segmentation>>> {
        // What cannot be answered is refused before any work.
        for input in inputs {
            self.kind(&input.options.request)?;
        }
        on_compute_threads(|| self.predict_all(inputs))
    }

    fn raw(&self, input: &SegmentInput) -> Result<Vec<RawTensor>> {
        let prepared = self.processor.prepare_parts(&input.image)?;
        let run = || {
            let pixels = prepared.iter().map(|part| self.pixels(part)).collect::<EngineResult<Vec<_>>>()?;
            let pixels = Tensor::cat(&pixels, 0)?;
            let Outputs { masks, classes } = self.network.forward(&pixels)?;
            [("pixel_values", pixels), ("masks_queries_logits", masks), ("class_queries_logits", classes)]
                .map(|(name, tensor)| raw_floats(name, Ok(tensor)))
                .into_iter()
                .collect::<EngineResult<Vec<_>>>()
        };
        on_compute_threads(run).map_err(compute_error(&self.id))
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn labels(&self) -> &[Label] {
        self.checkpoint.labels()
    }
}

impl<N: Network> Segmenter<N> {
    /// Inputs in a row that share a picture share what the network says of it.
    fn predict_all(&self, inputs: &[SegmentInput]) -> Result<Vec<Predicted<Segmentation>>> {
        let sharing: Vec<&[SegmentInput]> = inputs.chunk_by(|a, b| Arc::ptr_eq(&a.image, &b.image)).collect();
        let images: Vec<&Arc<Image>> = sharing.iter().map(|inputs| &inputs[0].image).collect();
        let mut outputs = Vec::with_capacity(inputs.len());
        for (inputs, mut seen) in sharing.into_iter().zip(self.see(&images)?) {
            for input in inputs {
                let began = Instant::now();
                let output = self.finish(&seen, &input.options)?;
                // The work on the picture is told of once.
                let timings = Timings { finish: milliseconds(began), ..std::mem::take(&mut seen.timings) };
                outputs.push(Predicted { output, timings });
            }
        }
        Ok(outputs)
    }
}

/// Whether the image processor cuts pictures into parts.
fn cuts(local: &LocalModel) -> bool {
    let read = |name: &str| {
        let bytes = std::fs::read(local.find(name)?).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok()
    };
    let config = read("preprocessor_config.json")
        .or_else(|| Some(read("processor_config.json")?["image_processor"].take()))
        .unwrap_or_default();
    config["do_split_image"].as_bool().unwrap_or(false)
}
