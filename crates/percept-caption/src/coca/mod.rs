//! CoCa (Yu et al. 2022, "Contrastive Captioners are Image-Text Foundation Models", arXiv 2205.01917; open_clip's
//! `coca_model.py` and `transformer.py`): a Vision Transformer whose tokens a few queries read, a text tower that sees
//! only text, and layers above it that look at the picture. The first of the picture's vectors and that of a class token
//! at the end of a text tell how well the two fit. Published checkpoints of open_clip (`open_clip_config.json`).
//!
//! open_clip's quirks are kept: without anything asked for, its search has six beams in three groups that do the same
//! (two beams here), adds up scores that are no log-probabilities, and counts the start of a text. What is not kept: a
//! text in which its padding token (`!`) was said goes on here as if it was any other.

mod config;
#[cfg(test)]
mod golden;
mod network;
mod vision;

use percept_backbone::checkpoint::device_and_precision;
use percept_backbone::decode::Stopping;
use percept_backbone::image_processor::ImageProcessor;
use percept_backbone::{Weights, projections_apart};
use percept_core::caption::CaptionSearch;
use percept_core::{Caption, Error, LocalModel, Model, Result, Runtime};
use serde_json::Value;

use crate::captioner::{Captioner, Words};
use crate::generation::{Generation, Length};
use crate::tokens::{Family, TextTokenizer};
use config::Shape;
use network::CoCa;

/// The numbers of the start and the end of a text in OpenAI's vocabulary, which no configuration states.
const TOKENS: [u32; 2] = [49406, 49407];

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Caption>>> {
    Ok(Box::new(open(local, runtime)?))
}

fn open(local: &LocalModel, runtime: &Runtime) -> Result<Captioner<CoCa>> {
    let (device, precision) = device_and_precision(runtime)?;
    let path = local.file("open_clip_config.json")?;
    let bytes = std::fs::read(path).map_err(|error| Error::input(path, error))?;
    let config: Value = serde_json::from_slice(&bytes).map_err(|error| Error::input(path, error))?;
    let shape = Shape::of(&config).map_err(|error| error.of(&local.id))?;
    let stored = Weights::open_safetensors(local, &device)?.in_precision(precision);
    let tokenizer = TextTokenizer::open(local, Family::Clip)?;
    let token = |text, known| tokenizer.id(text).unwrap_or(known);
    let (start, end) = (token("<|startoftext|>", TOKENS[0]), token("<|endoftext|>", TOKENS[1]));
    let network =
        stored.transposed(|name| name.ends_with("text_projection") || name == "visual.proj").and_then(
            |turned| CoCa::load(&stored, &projections_apart(&turned.renamed(network::renamed)), &shape),
        );
    let processor = ImageProcessor::of(&shape.preparation, "CLIPImageProcessor");
    Ok(Captioner {
        words: Words {
            id: local.id.clone(),
            tokenizer,
            // Of `generate`: 30 tokens and at least 5, the start among them.
            generation: Generation {
                max: Length::Whole(30),
                min: Length::Whole(5),
                search: CaptionSearch::Beam { beams: 2, length_penalty: 1.0 },
                stopping: Stopping::Classic(1),
                ..Generation::plain(start, end, shape.pad)
            },
        },
        processor: processor.map_err(|error| error.of(&local.id))?,
        network: network.map_err(|error| error.of(&local.id))?,
        device,
        precision,
    })
}
