//! The network.

use std::ops::Range;

use percept_backbone::decode::{Stopping, softmax};
use percept_backbone::{
    AttentionNames, Block, BlockNames, CrossAttention, Embedding, EngineError, LayerNorm, Linear, Mlp,
    Result, Tensor, Weights, WeightsError, both, compute_error, for_layers, l2_normalize,
};
use percept_core::caption::{CaptionOptions, CaptionSearch};

use super::config::{EPS, Shape, Tower};
use super::vision::Vision;
use crate::captioner::{Network, Prompt, Words};
use crate::decoder::{CacheShape, Layer, Looking, Positions, State, TextDecoder};
use crate::generation::Generation;

const LAYER: BlockNames = BlockNames {
    attention: "attn",
    attention_norm: "ln_1",
    cross: None,
    up: "mlp.c_fc",
    down: "mlp.c_proj",
    gate: None,
    mlp_norm: "ln_2",
    scales: None,
    matrices: AttentionNames::PROJ,
};

/// A class token at the end of a text, and what makes the vector of a text of it.
struct Contrast {
    /// With its position, `[1, 1, dim]`.
    class: Tensor,
    norm: LayerNorm,
    projection: Linear,
    /// What likeness is multiplied with.
    scale: f32,
}

/// From pixels and texts to scores.
pub(super) struct CoCa {
    vision: Vision,
    /// The first layers are the text tower.
    decoder: TextDecoder,
    tower: Vec<Block>,
    contrast: Contrast,
    pad: u32,
}

/// Names of layers: what `torch.nn.Parameter` has no module for gets one.
pub(super) fn renamed(name: &str, shape: &[usize]) -> Vec<(String, Range<usize>)> {
    let all = 0..shape[0];
    // Where keys are of another width, matrices are stored apart.
    for part in ["q_proj", "k_proj", "v_proj"] {
        if let Some(before) = name.strip_suffix(&format!("{part}_weight")) {
            return vec![(format!("{before}{part}.weight"), all)];
        }
    }
    match name.ends_with("text_projection") || name == "visual.proj" {
        true => vec![(format!("{name}.weight"), all)],
        false => vec![(name.to_owned(), all)],
    }
}

impl CoCa {
    /// `stored` are the weights as they are, `weights` those with matrices apart and turned.
    pub(super) fn load(stored: &Weights, weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let names = match shape.scaled {
            true => BlockNames { scales: Some(("ls_1.gamma", "ls_2.gamma")), ..LAYER },
            false => LAYER,
        };
        let (vision, decoder) = both(
            || Vision::load(&weights.at("visual"), shape),
            || decoder(&weights.for_few_rows(), shape, names),
        );
        let (tower, decoder) = decoder?;
        Ok(Self {
            vision: vision?,
            contrast: contrast(stored, weights, shape, &decoder)?,
            decoder,
            tower,
            pad: shape.pad,
        })
    }

    /// The vector of a text, `[1, channels]`, of any length. Texts are filled up with padding to the context's length, and
    /// the class token comes behind it; what no token sees is left out here.
    fn text_vector(&self, tokens: &[u32]) -> Result<Tensor> {
        let context = self.decoder.positions.count;
        // The mask of padding stands a position too late: the first token of padding is seen, and the class token sees
        // itself only if there is none.
        let mut row = tokens.to_vec();
        if row.len() < context {
            row.push(self.pad);
        }
        let (time, device) = (row.len(), self.decoder.device());
        let full = tokens.len() == context && tokens.last() != Some(&self.pad);
        let seen = |key: usize| match key {
            0 => true,
            key if key < time => row[key - 1] != self.pad,
            _ => full,
        };
        let bias = (0..=time).flat_map(|query| (0..=time).map(move |key| (query, key)));
        let bias = bias.map(|(query, key)| if key <= query && seen(key) { 0.0 } else { f32::NEG_INFINITY });
        let bias = Tensor::from_vec(bias.collect(), (1, 1, time + 1, time + 1), device)?;
        let indices = Tensor::from_vec(row.clone(), (1, time), device)?;
        let positions = self.decoder.positions.table.rows(0, time)?;
        let embedded = self.decoder.tokens.forward(&indices)?.broadcast_add(&positions)?;
        let mut x = Tensor::cat(&[&embedded, &self.contrast.class], 1)?;
        for layer in &self.tower {
            x = layer.forward_biased(&x, &bias)?;
        }
        let last = x.narrow(1, time, 1)?.squeeze(1)?;
        self.contrast.projection.forward(&self.contrast.norm.forward(&last)?)
    }

    fn likeness(&self, seen: &Tensor, texts: &[Vec<u32>]) -> Result<Vec<f32>> {
        let picture = l2_normalize(&self.vision.vector(seen)?, 1e-12)?;
        let logit = |tokens: &Vec<u32>| {
            let text = l2_normalize(&self.text_vector(tokens)?, 1e-12)?;
            let cosine = (&picture * &text)?.sum_all()?.to_scalar::<f32>()?;
            Ok::<_, EngineError>(cosine * self.contrast.scale)
        };
        Ok(softmax(&texts.iter().map(logit).collect::<Result<Vec<_>>>()?))
    }
}

fn tower(weights: &Weights, names: BlockNames, tower: &Tower) -> Result<Vec<Block>, WeightsError> {
    let layer = |layer: usize| Block::load(&weights.at(format!("resblocks.{layer}")), names, tower.block);
    for_layers(tower.depth, layer)
}

fn looking(weights: &Weights, shape: &Shape) -> Result<Looking, WeightsError> {
    let block = shape.decoder.block;
    let norm = |name: &str| LayerNorm::load(&weights.at(name), block.dim, EPS);
    let mut down = Linear::load(&weights.at("mlp.c_proj"), block.hidden, block.dim)?;
    let mut attention =
        CrossAttention::load(&weights.at("attn"), AttentionNames::PROJ, block.dim, block.heads)?;
    if shape.scaled {
        let factors = |name| weights.get(name, &[block.dim]);
        attention = attention.scaled_by(&factors("ls_1.gamma")?).map_err(WeightsError::Engine)?;
        down = down.scaled_by(&factors("ls_2.gamma")?).map_err(WeightsError::Engine)?;
    }
    Ok(Looking {
        norm: norm("ln_1")?,
        memory_norm: norm("ln_1_kv")?,
        attention,
        mlp_norm: norm("ln_2")?,
        mlp: Mlp::new(
            Linear::load(&weights.at("mlp.c_fc"), block.dim, block.hidden)?,
            down,
            block.activation,
        ),
    })
}

/// The text tower, and the decoder that it is a part of.
fn decoder(
    weights: &Weights,
    shape: &Shape,
    names: BlockNames,
) -> Result<(Vec<Block>, TextDecoder), WeightsError> {
    let (text, above) = (weights.at("text"), weights.at("text_decoder"));
    let block = shape.text.block;
    let [width, other] = [block.dim, shape.decoder.block.dim];
    if width != other || width != shape.embedding || block.heads != shape.decoder.block.heads {
        return Err(WeightsError::Format(format!(
            "open_clip_config.json: `width` and `heads` of `text_cfg` and `multimodal_cfg` and `embed_dim` differ \
             ({width}, {other}, {})",
            shape.embedding
        )));
    }
    let unimodal = tower(&text.at("transformer"), names, &shape.text)?;
    let multimodal = tower(&above, names, &shape.decoder)?;
    let cross = |layer: usize| looking(&above.at(format!("cross_attn.{layer}")), shape);
    let cross = for_layers(shape.decoder.depth, cross)?;
    let mut layers = unimodal.iter().cloned().map(Box::new).map(Layer::Block).collect::<Vec<_>>();
    for (block, looking) in multimodal.into_iter().zip(cross) {
        layers.push(Layer::Block(Box::new(block)));
        layers.push(Layer::Looking(Box::new(looking)));
    }

    let positions = text.get("positional_embedding", &[shape.context + 1, width])?;
    let decoder = TextDecoder {
        tokens: Embedding::load_stored(&text.at("token_embedding"), shape.vocabulary, width)?,
        positions: Positions { table: Embedding::new(positions), first: 0, count: shape.context },
        embedding_norm: None,
        layers,
        norm: Some(LayerNorm::load(&above.at("ln_final"), width, EPS)?),
        transform: None,
        head: Linear::load(&above.at("text_projection"), width, shape.vocabulary)?,
        shape: CacheShape::of(&block),
    };
    Ok((unimodal, decoder))
}

fn contrast(
    stored: &Weights,
    weights: &Weights,
    shape: &Shape,
    decoder: &TextDecoder,
) -> Result<Contrast, WeightsError> {
    let (text, dim) = (weights.at("text"), shape.text.block.dim);
    let class = text.get("cls_emb", &[dim])?;
    let class = decoder
        .positions
        .table
        .rows(shape.context, 1)
        .and_then(|position| position.broadcast_add(&class)?.unsqueeze(0));
    let of_scale = stored.shape("logit_scale").unwrap_or_default().to_vec();
    let scale = stored.get("logit_scale", &of_scale)?.flatten_all().and_then(|scale| scale.to_vec1::<f32>());
    let scale = scale.map_err(WeightsError::Engine)?;
    Ok(Contrast {
        class: class.map_err(WeightsError::Engine)?,
        norm: LayerNorm::load(&text.at("ln_final"), dim, EPS)?,
        projection: Linear::load(&text.at("text_projection"), dim, shape.embedding)?,
        scale: scale.first().copied().unwrap_or_default().exp(),
    })
}

impl Network for CoCa {
    fn look(&self, pixels: &Tensor) -> Result<Tensor> {
        self.vision.look(pixels)
    }

    fn begin(&self, seen: &Tensor, prompt: &Prompt) -> Result<(State, Vec<f32>)> {
        let queries = seen.dim(1)?;
        self.decoder.begin(Some(&seen.narrow(1, 1, queries - 1)?), &prompt.tokens)
    }

    fn decoder(&self) -> &TextDecoder {
        &self.decoder
    }

    fn rank(&self, seen: &Tensor, texts: &[String], words: &Words) -> Option<percept_core::Result<Vec<f32>>> {
        let context = self.decoder.positions.count;
        let tokens = |text: &String| {
            let mut tokens = words.tokenizer.ids(text)?;
            // What is too long is cut, and ends all the same.
            if tokens.len() > context {
                tokens.truncate(context);
                tokens[context - 1] = words.generation.end;
            }
            Ok(tokens)
        };
        let tokens = texts.iter().map(tokens).collect::<percept_core::Result<Vec<_>>>();
        Some(tokens.and_then(|tokens| self.likeness(seen, &tokens).map_err(compute_error(&words.id))))
    }

    /// Where tokens are taken one by one, the last that fits is the end.
    fn generation(&self, words: &Words, options: &CaptionOptions, prompt: &Prompt) -> Generation {
        let beams = match options.search {
            None => options.captions.max(2),
            Some(CaptionSearch::Beam { beams, .. }) => beams,
            Some(CaptionSearch::Greedy | CaptionSearch::Sample { .. }) => 1,
        };
        let last = (beams < 2).then_some(words.generation.end);
        Generation { last, stopping: Stopping::Classic(prompt.tokens.len()), ..words.generation.clone() }
    }
}
