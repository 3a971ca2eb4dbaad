//! The network.

use percept_backbone::vit::Vit;
use percept_backbone::{
    Block, BlockNames, Embedding, LayerNorm, Linear, Result, Tensor, Weights, WeightsError, both, for_layers,
};

use super::config::Shape;
use crate::bert;
use crate::captioner::Network;
use crate::decoder::{self, CacheShape, Layer, Positions, TextDecoder, Transform};

/// A layer of BERT that looks at a memory.
const LAYER: BlockNames =
    BlockNames { cross: Some(("crossattention", "crossattention.output.LayerNorm")), ..bert::LAYER };

/// From pixels and a prompt to scores.
pub(super) struct Blip {
    vision: Vit,
    decoder: TextDecoder,
}

impl Blip {
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let (vision, decoder) = both(
            || Vit::load(&weights.at("vision_model"), &shape.vision, &shape.vision_names),
            || decoder(&weights.at("text_decoder").for_few_rows(), shape),
        );
        Ok(Self { vision: vision?, decoder: decoder? })
    }
}

fn decoder(weights: &Weights, shape: &Shape) -> Result<TextDecoder, WeightsError> {
    let &Shape { block, vocabulary, positions, .. } = shape;
    let (embeddings, predictions) = (weights.at("bert.embeddings"), weights.at("cls.predictions"));
    let words = embeddings.at("word_embeddings");
    let (tokens, head) =
        decoder::vocabulary(&words, &predictions.at("decoder"), [vocabulary, block.dim], shape.tied)?;
    // The bias is a tensor of its own that conversions store under one name or the other.
    let bias = if predictions.has("bias") { "bias" } else { "decoder.bias" };
    let head = head.with_bias(&predictions.get(bias, &[vocabulary])?).map_err(WeightsError::Engine)?;
    let layers = weights.at("bert.encoder.layer");
    let layer = |layer: usize| {
        let block = Block::load_decoding(&layers.at(layer.to_string()), LAYER, block, shape.vision.dim)?;
        Ok::<_, WeightsError>(Layer::Block(Box::new(block.normalising_after())))
    };
    let norm = |weights: Weights| LayerNorm::load(&weights, block.dim, block.eps);
    Ok(TextDecoder {
        tokens,
        positions: Positions {
            table: Embedding::load(&embeddings.at("position_embeddings"), positions, block.dim)?,
            first: 0,
            count: positions,
        },
        embedding_norm: Some(norm(embeddings.at("LayerNorm"))?),
        layers: for_layers(shape.depth, layer)?,
        norm: None,
        transform: Some(Transform {
            dense: Linear::load(&predictions.at("transform.dense"), block.dim, block.dim)?,
            activation: block.activation,
            norm: norm(predictions.at("transform.LayerNorm"))?,
        }),
        head,
        shape: CacheShape::of(&block),
    })
}

impl Network for Blip {
    fn look(&self, pixels: &Tensor) -> Result<Tensor> {
        self.vision.tokens(pixels)
    }

    fn decoder(&self) -> &TextDecoder {
        &self.decoder
    }
}
