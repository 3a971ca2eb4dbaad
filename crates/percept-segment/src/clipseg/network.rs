//! The network: both encoders of CLIP, and the decoder.

use percept_backbone::clip_text::ClipText;
use percept_backbone::vit::Vit;
use percept_backbone::{Linear, Result, Tensor, Weights, WeightsError};

use super::config::Shape;
use super::decoder::Decoder;

/// From pixels and tokens to a score for each text and pixel.
pub(super) struct Network {
    vision: Vit,
    text: ClipText,
    text_projection: Linear,
    /// Hidden states that the decoder sees: behind so many layers.
    behind: Vec<usize>,
    decoder: Decoder,
}

/// What the image encoder says of a picture.
pub(super) struct Seen {
    /// `[1, 1 + rows * columns, channels]` of each layer that the decoder asks for.
    pub(super) activations: Vec<Tensor>,
    /// Rows and columns of patches.
    pub(super) grid: [usize; 2],
}

impl Network {
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let clip = weights.at("clip");
        let vision = Vit::load(&clip.at("vision_model"), &shape.vision, &shape.vision_names)?;
        Ok(Self {
            vision,
            text: ClipText::load(&clip.at("text_model"), &shape.text)?,
            text_projection: Linear::load(&clip.at("text_projection"), shape.text.dim, shape.condition)?,
            behind: shape.decoder.extract_layers.iter().map(|layer| layer + 1).collect(),
            decoder: Decoder::load(&weights.at("decoder"), shape)?,
        })
    }

    /// Tokens that a text may have.
    pub(super) fn text_capacity(&self) -> usize {
        self.text.capacity()
    }

    /// The states of a picture `[1, 3, height, width]`.
    pub(super) fn look(&self, pixel_values: &Tensor) -> Result<Seen> {
        let (_, _, height, width) = pixel_values.dims4()?;
        let activations = self.vision.layers(pixel_values, &self.behind)?;
        Ok(Seen { activations, grid: self.vision.grid([height, width]) })
    }

    /// The vectors of texts, `[texts, channels]` (`conditional_embeddings`).
    pub(super) fn read(&self, texts: &[Vec<u32>]) -> Result<Tensor> {
        self.text_projection.forward(&self.text.pooled(texts)?)
    }

    /// The score of each pixel for each text, `[texts, height, width]`.
    pub(super) fn logits(&self, seen: &Seen, texts: &Tensor) -> Result<Tensor> {
        self.decoder.forward(seen, texts)
    }

    #[cfg(test)]
    pub(super) fn text_states(&self, texts: &[Vec<u32>]) -> Result<Tensor> {
        self.text.states(texts)
    }
}
