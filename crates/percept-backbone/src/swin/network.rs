//! The network itself.

use candle_core::Tensor;
use percept_kernels::ConvShape;

use super::config::SwinConfig;
use super::windows::Windows;
use crate::attention::{Attention, AttentionNames};
use crate::conv2d::Conv2d;
use crate::linear::Linear;
use crate::mlp::Mlp;
use crate::norm::LayerNorm;
use crate::weights::{Weights, WeightsError};
use crate::{Result, ToContiguous};

/// Of the norms outside of layers, which no configuration states.
const EPS: f64 = 1e-5;

/// As published checkpoints name the matrices of a layer.
const NAMES: AttentionNames =
    AttentionNames { query: "self.query", key: "self.key", value: "self.value", output: "output.dense" };

/// A Swin Transformer, from pixels to maps of features.
#[derive(Debug)]
pub struct Swin {
    patches: Conv2d,
    patch: usize,
    norm: LayerNorm,
    stages: Vec<Stage>,
    /// By stage, where its map comes out.
    norms: Vec<Option<LayerNorm>>,
    window: usize,
}

#[derive(Debug)]
struct Stage {
    layers: Vec<Layer>,
    /// Between this stage and the next.
    merging: Option<Merging>,
}

#[derive(Debug)]
struct Layer {
    attention: Attention,
    attention_norm: LayerNorm,
    /// `[1, heads, tokens, tokens]` of a window.
    positions: Tensor,
    mlp: Mlp,
    mlp_norm: LayerNorm,
}

/// Four neighbours become one token.
#[derive(Debug)]
struct Merging {
    norm: LayerNorm,
    reduction: Linear,
}

/// Tokens `[batch, rows * columns, dim]` of a map.
#[derive(Clone, Debug)]
struct Map {
    tokens: Tensor,
    size: [usize; 2],
}

impl Swin {
    /// Loads a `SwinBackbone`, by the published names or by those of transformers 5.
    pub fn load(weights: &Weights, config: &SwinConfig) -> Result<Self, WeightsError> {
        let weights = &weights.renamed(|name, shape| vec![(published(name), 0..shape[0])]);
        let shape = ConvShape { stride: [config.patch; 2], ..ConvShape::square(config.dim, 3, config.patch) };
        let last = config.stages.last().copied().unwrap_or(0);
        let stages = (0..=last)
            .map(|stage| Stage::load(&weights.at(format!("encoder.layers.{stage}")), config, stage));
        let norm = |stage: usize| {
            let out = config.stages.contains(&stage);
            let weights = weights.at(format!("hidden_states_norms.stage{}", stage + 1));
            out.then(|| LayerNorm::load(&weights, config.channels(stage), EPS)).transpose()
        };
        Ok(Self {
            patches: Conv2d::load(&weights.at("embeddings.patch_embeddings.projection"), shape)?,
            patch: config.patch,
            norm: LayerNorm::load(&weights.at("embeddings.norm"), config.dim, EPS)?,
            stages: stages.collect::<Result<_, _>>()?,
            norms: (0..=last).map(norm).collect::<Result<_, _>>()?,
            window: config.window,
        })
    }

    /// The maps of the stages that the configuration names, each `[batch, channels, rows, columns]`, normalised. Images
    /// `[batch, 3, height, width]` may have any size: zeros follow below and to the right where patches, pairs and
    /// windows are not full.
    pub fn feature_maps(&self, pixel_values: &Tensor) -> Result<Vec<Tensor>> {
        let mut map = self.embed(pixel_values)?;
        let mut maps = Vec::new();
        for (stage, norm) in self.stages.iter().zip(&self.norms) {
            map = stage.forward(&map, self.window)?;
            if let Some(norm) = norm {
                let tokens = norm.forward(&map.tokens)?.transpose(1, 2)?.to_contiguous()?;
                let (batch, channels, _) = tokens.dims3()?;
                maps.push(tokens.reshape((batch, channels, map.size[0], map.size[1]))?);
            }
            if let Some(merging) = &stage.merging {
                map = merging.forward(&map)?;
            }
        }
        Ok(maps)
    }

    /// What goes into the first layer.
    fn embed(&self, pixel_values: &Tensor) -> Result<Map> {
        let (_, _, height, width) = pixel_values.dims4()?;
        let missing = [height, width].map(|length| length.next_multiple_of(self.patch) - length);
        let image = pixel_values.pad_with_zeros(2, 0, missing[0])?.pad_with_zeros(3, 0, missing[1])?;
        let patches = self.patches.forward(&image.to_contiguous()?)?;
        let (_, _, rows, columns) = patches.dims4()?;
        let tokens = self.norm.forward(&patches.flatten_from(2)?.transpose(1, 2)?.to_contiguous()?)?;
        Ok(Map { tokens, size: [rows, columns] })
    }
}

impl Stage {
    fn load(weights: &Weights, config: &SwinConfig, stage: usize) -> Result<Self, WeightsError> {
        let blocks = weights.at("blocks");
        let layer = |index: usize| Layer::load(&blocks.at(index.to_string()), config, stage);
        let last = config.stages.last() == Some(&stage);
        let dim = config.channels(stage);
        let merging = || {
            let weights = weights.at("downsample");
            Ok::<_, WeightsError>(Merging {
                norm: LayerNorm::load(&weights.at("norm"), 4 * dim, EPS)?,
                reduction: Linear::load(&weights.at("reduction"), 4 * dim, 2 * dim)?,
            })
        };
        Ok(Self {
            layers: (0..config.depths[stage]).map(layer).collect::<Result<_, _>>()?,
            merging: (!last).then(merging).transpose()?,
        })
    }

    fn forward(&self, map: &Map, window: usize) -> Result<Map> {
        let mut tokens = map.tokens.clone();
        // Every second layer's windows are shifted, however small the map.
        let shifted = |shift| Windows::new(map.size, window, shift, tokens.device());
        let windows = [shifted(0)?, shifted(window / 2)?];
        for (index, layer) in self.layers.iter().enumerate() {
            tokens = layer.forward(&tokens, &windows[index % 2])?;
        }
        Ok(Map { tokens, size: map.size })
    }
}

impl Layer {
    fn load(weights: &Weights, config: &SwinConfig, stage: usize) -> Result<Self, WeightsError> {
        let (dim, heads) = (config.channels(stage), config.heads[stage]);
        let norm = |name: &str| LayerNorm::load(&weights.at(name), dim, config.eps);
        let hidden = (config.mlp_ratio * dim as f64) as usize;
        let up = Linear::load(&weights.at("intermediate.dense"), dim, hidden)?;
        let down = Linear::load(&weights.at("output.dense"), hidden, dim)?;
        let attention = weights.at("attention");
        Ok(Self {
            attention: Attention::load(&attention, NAMES, dim, heads)?,
            attention_norm: norm("layernorm_before")?,
            positions: positions(&attention, config.window, heads)?,
            mlp: Mlp::new(up, down, config.activation),
            mlp_norm: norm("layernorm_after")?,
        })
    }

    fn forward(&self, x: &Tensor, windows: &Windows) -> Result<Tensor> {
        let cut = windows.cut(&self.attention_norm.forward(x)?)?;
        let mixed = self.attention.mixed(&cut, &windows.bias(&self.positions, x.dim(0)?)?)?;
        let x = self.attention.project_onto(&windows.join(&mixed)?, x)?;
        self.mlp.forward_onto(&self.mlp_norm.forward(&x)?, &x)
    }
}

/// What is added to the scores for where a key lies from its query, `[1, heads, tokens, tokens]`, of the table
/// `[(2 side - 1)^2, heads]`.
fn positions(attention: &Weights, side: usize, heads: usize) -> Result<Tensor, WeightsError> {
    let (reach, tokens) = (2 * side - 1, side * side);
    let table = attention.get("self.relative_position_bias_table", &[reach * reach, heads])?;
    let place = |pair: usize| {
        let (query, key) = (pair / tokens, pair % tokens);
        let apart = |query: usize, key: usize| query + side - 1 - key;
        (apart(query / side, key / side) * reach + apart(query % side, key % side)) as u32
    };
    let read = || {
        let places =
            Tensor::from_vec((0..tokens * tokens).map(place).collect(), tokens * tokens, table.device())?;
        table.index_select(&places, 0)?.t()?.to_contiguous()?.reshape((1, heads, tokens, tokens))
    };
    read().map_err(WeightsError::Engine)
}

impl Merging {
    fn forward(&self, map: &Map) -> Result<Map> {
        let (batch, _, dim) = map.tokens.dims3()?;
        let [rows, columns] = map.size;
        let x = map.tokens.reshape((batch, rows, columns, dim))?;
        let x = x.pad_with_zeros(1, 0, rows % 2)?.pad_with_zeros(2, 0, columns % 2)?.to_contiguous()?;
        let size = map.size.map(|length| length.div_ceil(2));
        // Of the pairs down and across: those down come first.
        let x = x.reshape(&[batch, size[0], 2, size[1], 2, dim][..])?.permute([0, 1, 3, 4, 2, 5])?;
        let x = x.to_contiguous()?.reshape((batch, size[0] * size[1], 4 * dim))?;
        Ok(Map { tokens: self.reduction.forward(&self.norm.forward(&x)?)?, size })
    }
}

/// transformers 5 has other names in memory, and some checkpoints have them on disk.
fn published(name: &str) -> String {
    const PAIRS: [(&str, &str); 9] = [
        ("swin.encoder.", "encoder."),
        ("swin.embeddings.", "embeddings."),
        ("attention.q_proj.", "attention.self.query."),
        ("attention.k_proj.", "attention.self.key."),
        ("attention.v_proj.", "attention.self.value."),
        ("attention.o_proj.", "attention.output.dense."),
        (
            "attention.relative_position_bias.relative_position_bias_table",
            "attention.self.relative_position_bias_table",
        ),
        (".mlp.fc1.", ".intermediate.dense."),
        (".mlp.fc2.", ".output.dense."),
    ];
    PAIRS.iter().fold(name.to_owned(), |name, (new, old)| name.replace(new, old))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_names_are_published_names() {
        for (new, old) in [
            (
                "x.swin.encoder.layers.0.blocks.1.attention.q_proj.bias",
                "x.encoder.layers.0.blocks.1.attention.self.query.bias",
            ),
            ("encoder.layers.0.blocks.1.mlp.fc2.weight", "encoder.layers.0.blocks.1.output.dense.weight"),
        ] {
            assert_eq!(published(new), old);
            assert_eq!(published(old), old);
        }
    }
}
