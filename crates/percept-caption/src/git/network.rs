//! The network.

use percept_backbone::vit::Vit;
use percept_backbone::{
    Block, Embedding, LayerNorm, Linear, Result, Tensor, Weights, WeightsError, both, for_layers,
};

use super::config::Shape;
use crate::bert;
use crate::captioner::{Network, Prompt};
use crate::decoder::{self, CacheShape, Layer, Positions, State, TextDecoder};

/// From pixels and a prompt to scores.
pub(super) struct Git {
    vision: Vit,
    projection: Linear,
    projection_norm: LayerNorm,
    decoder: TextDecoder,
}

impl Git {
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let git = weights.at("git");
        let (vision, decoder) = both(
            || Vit::load(&git.at("image_encoder.vision_model"), &shape.vision, &shape.vision_names),
            || decoder(&weights.for_few_rows(), shape),
        );
        let projection = git.at("visual_projection.visual_projection");
        Ok(Self {
            vision: vision?,
            projection: Linear::load(&projection.at("0"), shape.vision.dim, shape.block.dim)?,
            projection_norm: LayerNorm::load(&projection.at("1"), shape.block.dim, shape.vision.eps)?,
            decoder: decoder?,
        })
    }
}

fn decoder(weights: &Weights, shape: &Shape) -> Result<TextDecoder, WeightsError> {
    let &Shape { block, vocabulary, positions, .. } = shape;
    let embeddings = weights.at("git.embeddings");
    let words = embeddings.at("word_embeddings");
    let (tokens, mut head) =
        decoder::vocabulary(&words, &weights.at("output"), [vocabulary, block.dim], shape.tied)?;
    if shape.tied {
        let bias = weights.get("output.bias", &[vocabulary])?;
        head = head.with_bias(&bias).map_err(WeightsError::Engine)?;
    }
    let layers = weights.at("git.encoder.layer");
    let layer = |layer: usize| {
        let block = Block::load(&layers.at(layer.to_string()), bert::LAYER, block)?;
        Ok::<_, WeightsError>(Layer::Block(Box::new(block.normalising_after())))
    };
    Ok(TextDecoder {
        tokens,
        positions: Positions {
            table: Embedding::load(&embeddings.at("position_embeddings"), positions, block.dim)?,
            first: 0,
            count: positions,
        },
        embedding_norm: Some(LayerNorm::load(&embeddings.at("LayerNorm"), block.dim, block.eps)?),
        layers: for_layers(shape.depth, layer)?,
        norm: None,
        transform: None,
        head,
        shape: CacheShape::of(&block),
    })
}

impl Network for Git {
    /// The picture's tokens as they stand before the text.
    fn look(&self, pixels: &Tensor) -> Result<Tensor> {
        self.projection_norm.forward(&self.projection.forward(&self.vision.tokens(pixels)?)?)
    }

    fn begin(&self, seen: &Tensor, prompt: &Prompt) -> Result<(State, Vec<f32>)> {
        let mut state = self.decoder.start(None)?;
        self.decoder.feed_prefix(seen, &mut state)?;
        let scores = self.decoder.feed(&prompt.tokens, &mut state)?;
        Ok((state, scores))
    }

    fn decoder(&self) -> &TextDecoder {
        &self.decoder
    }
}
