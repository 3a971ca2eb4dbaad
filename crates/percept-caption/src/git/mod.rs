//! GIT (Wang et al. 2022, "GIT: A Generative Image-to-text Transformer", arXiv 2205.14100; transformers'
//! `models/git/modeling_git.py`): CLIP's image encoder, whose tokens stand before the text in one Transformer. They see
//! each other, and the text sees them and what came before. Any Hugging Face snapshot of `GitForCausalLM` for pictures.

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
use network::Git;

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<Caption>>> {
    Ok(Box::new(open(local, runtime)?))
}

fn open(local: &LocalModel, runtime: &Runtime) -> Result<Captioner<Git>> {
    let (device, precision) = device_and_precision(runtime)?;
    let config = configuration(local)?;
    let weights = Weights::open_safetensors(local, &device)?.in_precision(precision);
    let shape = Shape::of(&config).map_err(|error| error.of(&local.id))?;
    let generation = Generation::open(local, &config, [101, 102, 0])?;
    let network = Git::load(&weights, &shape).map_err(|error| error.of(&local.id))?;
    Ok(Captioner {
        words: Words {
            id: local.id.clone(),
            tokenizer: TextTokenizer::open(local, Family::Bert)?,
            generation,
        },
        processor: ImageProcessor::open(local, "CLIPImageProcessor")?,
        network,
        device,
        precision,
    })
}
