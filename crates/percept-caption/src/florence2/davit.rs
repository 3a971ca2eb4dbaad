//! DaViT (Ding et al. 2022, "DaViT: Dual Attention Vision Transformers", arXiv 2204.03645): in turn, tokens of a window
//! look at each other, and channels of a group do.

use std::ops::Range;

use percept_backbone::{
    Attention, AttentionNames, Conv2d, ConvShape, Depthwise, LayerNorm, Linear, Mlp, Result, See, Tensor,
    ToContiguous, Weights, WeightsError, scaled_dot_product_attention,
};

use super::config::{EPS, Shape, StageShape};

const WINDOW: AttentionNames =
    AttentionNames { query: "q_proj", key: "k_proj", value: "v_proj", output: "proj" };

/// From pixels to a map.
pub(super) struct Davit {
    stages: Vec<Stage>,
    window: usize,
}

struct Stage {
    conv: Conv2d,
    norm: LayerNorm,
    norm_first: bool,
    /// Over windows, then over channels.
    blocks: Vec<(Block, Block)>,
}

/// Half of a block: a convolution that tells tokens where they stand, a mixer, and the same before an MLP.
struct Block {
    before_mixer: Depthwise,
    mixer_norm: LayerNorm,
    mixer: Mixer,
    before_mlp: Depthwise,
    mlp_norm: LayerNorm,
    mlp: Mlp,
}

enum Mixer {
    Windows(Attention),
    Channels { input: Linear, output: Linear, groups: usize },
}

/// The matrices of windows apart; those of channels stay as one.
pub(super) fn apart(name: &str, shape: &[usize]) -> Vec<(String, Range<usize>)> {
    let Some((before, kind)) = name.split_once("window_attn.qkv.") else {
        return vec![(name.to_owned(), 0..shape[0])];
    };
    let third = shape[0] / 3;
    let part = |(index, part): (usize, &str)| {
        (format!("{before}window_attn.{part}_proj.{kind}"), index * third..(index + 1) * third)
    };
    ["q", "k", "v"].into_iter().enumerate().map(part).collect()
}

impl Davit {
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let weights = weights.renamed(apart);
        let stages =
            shape.stages.iter().enumerate().map(|(index, stage)| Stage::load(&weights, index, stage));
        Ok(Self { stages: stages.collect::<Result<_, _>>()?, window: shape.window })
    }

    /// `[1, 3, height, width]` to `[1, rows, columns, channels]`.
    pub(super) fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let mut x = pixels.permute([0, 2, 3, 1])?;
        for stage in &self.stages {
            x = stage.forward(&x, self.window)?;
        }
        Ok(x)
    }
}

impl Stage {
    fn load(weights: &Weights, index: usize, shape: &StageShape) -> Result<Self, WeightsError> {
        let convs = weights.at(format!("convs.{index}"));
        let conv = ConvShape {
            stride: [shape.stride; 2],
            ..ConvShape::square(shape.dim, shape.input, shape.side).padding(shape.padding)
        };
        let blocks = (0..shape.depth).map(|block| {
            let block = weights.at(format!("blocks.{index}.{block}"));
            let windows = Block::load(&block.at("spatial_block"), shape, true)?;
            Ok((windows, Block::load(&block.at("channel_block"), shape, false)?))
        });
        let normed = if shape.norm_first { shape.input } else { shape.dim };
        Ok(Self {
            conv: Conv2d::load(&convs.at("conv"), conv)?,
            norm: LayerNorm::load(&convs.at("norm"), normed, EPS)?,
            norm_first: shape.norm_first,
            blocks: blocks.collect::<Result<_, WeightsError>>()?,
        })
    }

    /// Of maps `[batch, rows, columns, channels]`.
    fn forward(&self, x: &Tensor, window: usize) -> Result<Tensor> {
        let normed = if self.norm_first { self.norm.forward(x)? } else { x.clone() };
        let planes = self.conv.forward(&normed.permute([0, 3, 1, 2])?.to_contiguous()?)?;
        let mut x = planes.permute([0, 2, 3, 1])?.to_contiguous()?;
        if !self.norm_first {
            x = self.norm.forward(&x)?;
        }
        for (windows, channels) in &self.blocks {
            x = channels.forward(&windows.forward(&x, window)?, window)?;
        }
        Ok(x)
    }
}

impl Block {
    fn load(weights: &Weights, shape: &StageShape, windows: bool) -> Result<Self, WeightsError> {
        let &StageShape { dim, heads, groups, hidden, activation, .. } = shape;
        let norm = |name: &str| LayerNorm::load(&weights.at(name), dim, EPS);
        let mixer = match windows {
            true => Mixer::Windows(Attention::load(&weights.at("window_attn"), WINDOW, dim, heads)?),
            false => {
                let channels = weights.at("channel_attn");
                let input = Linear::load(&channels.at("qkv"), dim, 3 * dim)?;
                Mixer::Channels { input, output: Linear::load(&channels.at("proj"), dim, dim)?, groups }
            }
        };
        let up = Linear::load(&weights.at("ffn.fc1"), dim, hidden)?;
        let down = Linear::load(&weights.at("ffn.fc2"), hidden, dim)?;
        Ok(Self {
            before_mixer: Depthwise::load(&weights.at("conv1"), dim, 3)?,
            mixer_norm: norm("norm1")?,
            mixer,
            before_mlp: Depthwise::load(&weights.at("conv2"), dim, 3)?,
            mlp_norm: norm("norm2")?,
            mlp: Mlp::new(up, down, activation),
        })
    }

    fn forward(&self, x: &Tensor, window: usize) -> Result<Tensor> {
        let x = (self.before_mixer.forward_activated(x, None)? + x)?;
        let normed = self.mixer_norm.forward(&x)?;
        let x = match &self.mixer {
            Mixer::Windows(attention) => attention.over_map(&normed, Some(window), None, &x)?,
            Mixer::Channels { input, output, groups } => {
                output.forward_onto(&among_channels(&input.forward(&normed)?, *groups)?, &x)?
            }
        };
        let x = (self.before_mlp.forward_activated(&x, None)? + x)?;
        self.mlp.forward_onto(&self.mlp_norm.forward(&x)?, &x)
    }
}

/// Attention in which the channels of a group look at each other, by what all tokens say of them: queries, keys and
/// values `[batch, rows, columns, 3 * channels]` to `[batch, rows, columns, channels]`.
fn among_channels(all: &Tensor, groups: usize) -> Result<Tensor> {
    let (batch, rows, columns, width) = all.dims4()?;
    let (tokens, channels) = (rows * columns, width / 3 / groups);
    let all = all.reshape((batch, tokens, 3, groups, channels))?;
    let part = |index: usize| all.narrow(2, index, 1)?.squeeze(2)?.permute([0, 3, 2, 1])?.to_contiguous();
    let scale = (tokens as f64).powf(-0.5);
    // A channel is a position, and the tokens are what it says.
    let mixed = scaled_dot_product_attention(
        &part(0)?,
        &part(1)?,
        &part(2)?,
        scale,
        None,
        See::All,
        percept_core::Precision::F32,
    )?;
    mixed.permute([0, 3, 2, 1])?.to_contiguous()?.reshape((batch, rows, columns, groups * channels))
}
