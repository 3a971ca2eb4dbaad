//! BLIP (Li et al. 2022, "Bootstrapping Language-Image Pre-training", arXiv 2201.12086; transformers'
//! `models/blip/modeling_blip.py` and `modeling_blip_text.py`): a Vision Transformer, and a BERT whose layers look at it
//! and see only what came before. Any Hugging Face snapshot of `BlipForConditionalGeneration`.

mod config;
#[cfg(test)]
mod golden;
mod network;

use percept_backbone::Weights;
use percept_backbone::checkpoint::{configuration, device_and_precision};
use percept_backbone::image_processor::ImageProcessor;
use percept_core::{Caption, LocalModel, Model, Result, Runtime};

use crate::captioner::{Captioner, Words};
use crate::generation::Generation;
use crate::tokens::{Family, TextTokenizer};
use config::Shape;
use network::Blip;

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Caption>>> {
    Ok(Box::new(open(local, runtime)?))
}

fn open(local: &LocalModel, runtime: &Runtime) -> Result<Captioner<Blip>> {
    let (device, precision) = device_and_precision(runtime)?;
    let config = configuration(local)?;
    let weights = Weights::open_safetensors(local, &device)?.in_precision(precision);
    let shape = Shape::of(&config).map_err(|error| error.of(&local.id))?;
    let network = Blip::load(&weights, &shape).map_err(|error| error.of(&local.id))?;
    Ok(Captioner {
        words: Words {
            id: local.id.clone(),
            tokenizer: TextTokenizer::open(local, Family::Bert)?,
            // Whatever `generation_config.json` says: the reference asks its text decoder, which has not read it.
            generation: Generation::plain(shape.start, shape.end, shape.pad),
        },
        processor: ImageProcessor::open(local, "BlipImageProcessor")?,
        network,
        device,
        precision,
    })
}
