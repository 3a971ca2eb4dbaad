//! Encoder-decoder pairs (transformers' `models/vision_encoder_decoder/modeling_vision_encoder_decoder.py`): an image
//! encoder (ViT, DeiT or Swin) whose tokens a GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask
//! Learners"; `models/gpt2/modeling_gpt2.py`) looks at. Any Hugging Face snapshot of `VisionEncoderDecoderModel` of these.

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
use network::Pair;

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Caption>>> {
    Ok(Box::new(open(local, runtime)?))
}

fn open(local: &LocalModel, runtime: &Runtime) -> Result<Captioner<Pair>> {
    let (device, precision) = device_and_precision(runtime)?;
    let config = configuration(local)?;
    let weights = Weights::open_safetensors(local, &device)?.in_precision(precision);
    let shape = Shape::of(&config).map_err(|error| error.of(&local.id))?;
    let generation = Generation::open(local, &config, [50256; 3])?;
    let network = Pair::load(&weights, &shape).map_err(|error| error.of(&local.id))?;
    Ok(Captioner {
        words: Words {
            id: local.id.clone(),
            tokenizer: TextTokenizer::open(local, Family::Gpt2)?,
            generation,
        },
        processor: ImageProcessor::open(local, "ViTImageProcessor")?,
        network,
        device,
        precision,
    })
}
