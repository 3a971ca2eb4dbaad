//! Florence-2 (Xiao et al. 2023, "Florence-2: Advancing a Unified Representation for a Variety of Vision Tasks", arXiv
//! 2311.06242; transformers' `models/florence2/modeling_florence2.py`, `processing_florence2.py`): DaViT's map of a picture
//! becomes tokens before a question, BART reads both and answers. Any Hugging Face snapshot of
//! `Florence2ForConditionalGeneration` of transformers' own (florence-community).
//!
//! Where a checkpoint states no length, an answer has 1024 new tokens at most, as its cards ask for, not transformers' 20.

mod config;
mod davit;
#[cfg(test)]
mod golden;
mod network;
mod places;

use percept_backbone::Weights;
use percept_backbone::checkpoint::{configuration, device_and_precision};
use percept_backbone::image_processor::ImageProcessor;
use percept_core::{Caption, LocalModel, Model, Result, Runtime};

use crate::captioner::{Captioner, Words};
use crate::generation::{Generation, Length};
use crate::tokens::{Family, TextTokenizer};
use config::Shape;
use network::Florence2;

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Caption>>> {
    Ok(Box::new(open(local, runtime)?))
}

fn open(local: &LocalModel, runtime: &Runtime) -> Result<Captioner<Florence2>> {
    let (device, precision) = device_and_precision(runtime)?;
    let config = configuration(local)?;
    let weights = Weights::open_safetensors(local, &device)?.in_precision(precision);
    let shape = Shape::of(&config).map_err(|error| error.of(&local.id))?;
    let mut generation = Generation::open(local, &config, [2, 2, 1])?;
    if generation.max == Generation::plain(0, 0, 0).max {
        generation.max = Length::New(1024);
    }
    let network = Florence2::load(&weights, &shape).map_err(|error| error.of(&local.id))?;
    Ok(Captioner {
        words: Words {
            id: local.id.clone(),
            tokenizer: TextTokenizer::open(local, Family::Bart)?,
            generation,
        },
        processor: ImageProcessor::open(local, "CLIPImageProcessor")?,
        network,
        device,
        precision,
    })
}
