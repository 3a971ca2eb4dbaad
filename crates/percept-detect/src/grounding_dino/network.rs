//! The network: encoders of text and image, what fuses them, and queries.

use percept_backbone::bert::Bert;
use percept_backbone::{Linear, Result, Tensor, Weights, WeightsError};

use super::config::Shape;
use super::decoder::{Decoded, Decoder, Memory};
use super::encoder::Encoder;
use super::features::ImageEncoder;
use super::texts::Prompt;

/// Grounding DINO from pixels and tokens to boxes.
#[derive(Debug)]
pub(super) struct Network {
    text: Bert,
    text_projection: Linear,
    image: ImageEncoder,
    encoder: Encoder,
    pub(super) decoder: Decoder,
}

/// A line of texts that was read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) prompt: Prompt,
    /// `[1, tokens, dim]`.
    pub(super) states: Tensor,
    /// Who sees whom, `[1, 1, tokens, tokens]`.
    bias: Tensor,
}

/// What the encoder makes of both sides.
#[derive(Debug)]
pub(super) struct Encoded {
    /// `[batch, pixels, dim]`.
    pub(super) pixels: Tensor,
    /// `[batch, tokens, dim]`.
    pub(super) words: Tensor,
    /// Rows and columns of the maps.
    pub(super) sizes: Vec<[usize; 2]>,
}

impl Network {
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let model = weights.at("model");
        Ok(Self {
            text: Bert::load(&model.at("text_backbone"), &shape.text)?,
            text_projection: Linear::load(&model.at("text_projection"), shape.text.dim, shape.dim)?,
            image: ImageEncoder::load(&model, shape)?,
            encoder: Encoder::load(&model.at("encoder"), shape)?,
            decoder: Decoder::load(weights, shape)?,
        })
    }

    /// Reads a line of texts.
    pub(super) fn read(&self, prompt: Prompt) -> Result<Read> {
        let bias = prompt.bias(self.text.device())?;
        let states = self.text.states(&prompt.ids, &prompt.positions, &bias)?;
        Ok(Read { states: self.text_projection.forward(&states)?, prompt, bias })
    }

    /// Images `[batch, 3, height, width]` and the texts to look for in each of them.
    pub(super) fn encode(&self, pixel_values: &Tensor, read: &Read) -> Result<Encoded> {
        let features = self.image.forward(pixel_values)?;
        let (pixels, words) =
            self.encoder.forward(&features, &read.states, &read.prompt.positions, &read.bias)?;
        Ok(Encoded { pixels, words, sizes: features.sizes })
    }

    /// Boxes of what was encoded.
    pub(super) fn decode(&self, encoded: &Encoded) -> Result<Decoded> {
        let memory = encoded.memory();
        self.decoder.forward(&memory, &self.decoder.choose(&memory)?)
    }
}

impl Encoded {
    pub(super) fn memory(&self) -> Memory<'_> {
        Memory { pixels: &self.pixels, words: &self.words, sizes: &self.sizes }
    }
}
