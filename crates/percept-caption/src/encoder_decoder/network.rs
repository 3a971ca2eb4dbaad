//! The network.

use std::ops::Range;

use percept_backbone::swin::Swin;
use percept_backbone::vit::Vit;
use percept_backbone::{
    AttentionNames, Block, BlockNames, Embedding, EngineError, LayerNorm, Linear, Result, Tensor,
    ToContiguous, Weights, WeightsError, both, for_layers,
};

use super::config::{EncoderShape, Shape};
use crate::captioner::Network;
use crate::decoder::{self, CacheShape, Layer, Positions, TextDecoder};

const LAYER: BlockNames = BlockNames {
    attention: "attn",
    attention_norm: "ln_1",
    cross: Some(("crossattention", "ln_cross_attn")),
    up: "mlp.c_fc",
    down: "mlp.c_proj",
    gate: None,
    mlp_norm: "ln_2",
    scales: None,
    matrices: AttentionNames { query: "q_attn", key: "k_attn", value: "v_attn", output: "c_proj" },
};

/// From pixels and a prompt to scores.
pub(super) struct Pair {
    encoder: Encoder,
    /// To the decoder's channels, where they are others.
    projection: Option<Linear>,
    decoder: TextDecoder,
}

enum Encoder {
    Vit(Box<Vit>),
    Swin(Box<Swin>),
}

impl Pair {
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let (encoder, decoder) = both(|| encoder(weights, shape), || decoder(weights, shape));
        let channels = shape.encoder.channels();
        let projection = match channels == shape.block.dim {
            true => None,
            false => Some(Linear::load(&weights.at("enc_to_dec_proj"), channels, shape.block.dim)?),
        };
        Ok(Self { encoder: encoder?, projection, decoder: decoder? })
    }
}

fn encoder(weights: &Weights, shape: &Shape) -> Result<Encoder, WeightsError> {
    match &shape.encoder {
        EncoderShape::Vit(config, names) => {
            Vit::load(&weights.at("encoder"), config, names).map(Box::new).map(Encoder::Vit)
        }
        EncoderShape::Swin(config) => {
            // The last norm, of a map that comes out alone, under the name that it has where several do.
            let norm = format!("hidden_states_norms.stage{}.", config.depths.len());
            let weights = weights.renamed(|name, shape| {
                let Some(name) = name.strip_prefix("encoder.") else { return vec![] };
                let name = match name.strip_prefix("layernorm.") {
                    Some(part) => format!("{norm}{part}"),
                    None => name.to_owned(),
                };
                vec![(name, 0..shape[0])]
            });
            Swin::load(&weights, config).map(Box::new).map(Encoder::Swin)
        }
    }
}

/// GPT-2's matrices apart, once they are turned.
fn apart(name: &str, shape: &[usize]) -> Vec<(String, Range<usize>)> {
    let part = |before: &str, part: &str, kind: &str, index: usize, count: usize| {
        let rows = shape[0] / count;
        (format!("{before}{part}.{kind}"), index * rows..(index + 1) * rows)
    };
    for kind in ["weight", "bias"] {
        let Some(before) = name.strip_suffix(kind).and_then(|name| name.strip_suffix("c_attn.")) else {
            continue;
        };
        let parts: &[&str] = match before.ends_with("crossattention.") {
            true => &["k_attn", "v_attn"],
            false => &["q_attn", "k_attn", "v_attn"],
        };
        let parts =
            parts.iter().enumerate().map(|(index, name)| part(before, name, kind, index, parts.len()));
        return parts.collect();
    }
    vec![(name.to_owned(), 0..shape[0])]
}

fn decoder(weights: &Weights, shape: &Shape) -> Result<TextDecoder, WeightsError> {
    let &Shape { block, vocabulary, positions, .. } = shape;
    // `Conv1D` stores its matrix by column.
    let turned = weights.transposed(|name| {
        name.starts_with("decoder.transformer.h.")
            && ["c_attn", "q_attn", "c_proj", "c_fc"]
                .iter()
                .any(|part| name.ends_with(&format!("{part}.weight")))
    })?;
    let weights = turned.renamed(apart).at("decoder").for_few_rows();
    let gpt = weights.at("transformer");
    let table = gpt.at("wte");
    let (tokens, head) =
        decoder::vocabulary(&table, &weights.at("lm_head"), [vocabulary, block.dim], shape.tied)?;
    let layer = |layer: usize| {
        let block = Block::load(&gpt.at(format!("h.{layer}")), LAYER, block)?;
        Ok::<_, WeightsError>(Layer::Block(Box::new(block)))
    };
    Ok(TextDecoder {
        tokens,
        positions: Positions {
            table: Embedding::load(&gpt.at("wpe"), positions, block.dim)?,
            first: 0,
            count: positions,
        },
        embedding_norm: None,
        layers: for_layers(shape.depth, layer)?,
        norm: Some(LayerNorm::load(&gpt.at("ln_f"), block.dim, block.eps)?),
        transform: None,
        head,
        shape: CacheShape::of(&block),
    })
}

impl Network for Pair {
    fn look(&self, pixels: &Tensor) -> Result<Tensor> {
        let states = match &self.encoder {
            Encoder::Vit(vit) => vit.tokens(pixels)?,
            Encoder::Swin(swin) => {
                let map = swin.feature_maps(pixels)?.pop();
                let map = map.ok_or_else(|| EngineError::Msg("the last stage gives no map".into()))?;
                map.flatten_from(2)?.transpose(1, 2)?.to_contiguous()?
            }
        };
        match &self.projection {
            Some(projection) => projection.forward(&states),
            None => Ok(states),
        }
    }

    fn decoder(&self) -> &TextDecoder {
        &self.decoder
    }
}
