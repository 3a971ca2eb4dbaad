//! The network itself.

use candle_core::Tensor;

use super::config::{ClassToken, FinalNorm, VitConfig, Windows};
use super::names::VitNames;
use super::patch::Patches;
use super::positions::Positions;
use super::relative_bias::RelativeBias;
use crate::Result;
use crate::block::{Block, BlockShape};
use crate::norm::LayerNorm;
use crate::relative::RelativePositions;
use crate::weights::{Weights, WeightsError};

/// A Vision Transformer, from pixels to the states of its tokens.
///
/// [`Vit::tokens`] is `embed`, then each `layer`, then `normalise`; a caller that wants something in between (merged
/// tokens, an early end) runs them itself.
#[derive(Debug)]
pub struct Vit {
    patches: Patches,
    positions: Positions,
    /// The tokens before those of the patches, with their positions: `[1, prefix, dim]`.
    prefix: Option<Tensor>,
    /// The tokens behind them, with their positions: `[1, trailing, dim]`.
    trailing: Option<Tensor>,
    norm_before: Option<LayerNorm>,
    blocks: Vec<Block>,
    /// Of each layer, where layers have some.
    biases: Vec<RelativeBias>,
    norm_after: Option<LayerNorm>,
    final_norm: FinalNorm,
    windows: Option<Windows>,
    /// Whether layers want to know where tokens stand: those with windows or relative positions do.
    on_map: bool,
}

impl Vit {
    /// Loads a network. `weights` stand at the prefix that `names` continue.
    pub fn load(weights: &Weights, config: &VitConfig, names: &VitNames) -> Result<Self, WeightsError> {
        let weights = &names.apart(weights);
        let &VitConfig { dim, heads, hidden, activation, eps, .. } = config;
        let patches =
            Patches::load(&weights.at(names.patches), [dim, config.channels], config.patch, config.padding)?;
        let grid = patches.grid(config.image);
        let Tokens { prefix, trailing, positions } = load_tokens(weights, config, names, grid[0] * grid[1])?;
        let norm = |name| LayerNorm::load(&weights.at(name), dim, eps);
        let shape = BlockShape { dim, heads, hidden, activation, eps };
        let layers = weights.at(names.layers);
        let blocks = (0..config.depth)
            .map(|layer| {
                let weights = layers.at(layer.to_string());
                let block = Block::load_experts(&weights, names.block, shape, config.experts.as_ref())?;
                if !config.relative_positions {
                    return Ok(block);
                }
                let map = window_of(config.windows.as_ref(), layer).map_or(grid, |side| [side; 2]);
                let weights = weights.at(names.block.attention);
                Ok(block.with_relative_positions(RelativePositions::load(&weights, map, dim / heads)?))
            })
            .collect::<Result<Vec<_>, WeightsError>>()?;
        let biases = (0..if config.relative_bias { config.depth } else { 0 }).map(|layer| {
            let attention = layers.at(layer.to_string()).at(names.block.attention);
            RelativeBias::load(&attention.at(RelativeBias::NAME), grid, heads)
        });
        let biases = biases.collect::<Result<_, _>>()?;
        Ok(Self {
            patches,
            positions: Positions::new(positions, grid, config.resampling),
            prefix,
            trailing,
            norm_before: names.norm_before.map(norm).transpose()?,
            blocks,
            biases,
            norm_after: match config.final_norm {
                FinalNorm::Absent => None,
                FinalNorm::Tokens | FinalNorm::Pooled => Some(norm(names.norm_after)?),
            },
            final_norm: config.final_norm,
            windows: config.windows.clone(),
            on_map: config.windows.is_some() || config.relative_positions,
        })
    }

    /// The last hidden states of images `[batch, 3, height, width]`: `[batch, tokens, dim]`. The first
    /// [`Vit::prefix`] of the tokens are no patches; the others come row by row, as [`Vit::grid`] says.
    ///
    /// The size of the images may be another than that of the checkpoint: positions are interpolated.
    pub fn tokens(&self, pixel_values: &Tensor) -> Result<Tensor> {
        let mut x = self.embed(pixel_values)?;
        let grid = self.grid_of(pixel_values)?;
        for layer in 0..self.blocks.len() {
            x = self.layer(layer, &x, grid)?;
        }
        match self.final_norm {
            FinalNorm::Tokens => self.normalise(&x),
            FinalNorm::Pooled | FinalNorm::Absent => Ok(x),
        }
    }

    /// The states behind the first `layers` layers, normalised by the last norm: `[batch, tokens, dim]`. `expert` says
    /// which of the experts that the configuration wants is asked, where MLPs have some (ViTPose++).
    pub fn tokens_by(&self, pixel_values: &Tensor, layers: usize, expert: usize) -> Result<Tensor> {
        let Some(blocks) = self.blocks.get(..layers) else {
            candle_core::bail!("the states behind {layers} of {} layers", self.blocks.len());
        };
        if self.on_map || !self.biases.is_empty() {
            candle_core::bail!("layers that know where tokens stand have no experts");
        }
        let mut x = self.embed(pixel_values)?;
        for block in blocks {
            x = block.forward_by(&x, expert)?;
        }
        self.normalise(&x)
    }

    /// One layer, of all tokens of images whose patches form a `grid`: `[batch, tokens, dim]` to the same.
    pub fn layer(&self, layer: usize, x: &Tensor, grid: [usize; 2]) -> Result<Tensor> {
        let block = &self.blocks[layer];
        if let Some(bias) = self.biases.get(layer) {
            return block.forward_biased(x, &bias.at(grid)?);
        }
        if !self.on_map {
            return block.forward(x);
        }
        let (batch, tokens, dim) = x.dims3()?;
        let map = x.reshape((batch, grid[0], grid[1], dim))?;
        let window = window_of(self.windows.as_ref(), layer);
        block.forward_on_map(&map, window)?.reshape((batch, tokens, dim))
    }

    /// The hidden states behind some numbers of layers, each `[batch, tokens, dim]` and without the
    /// last norm: 0 is the embedding, 1 what the first layer gives. In the order of `at`; layers
    /// beyond the last that is asked for are not run.
    pub fn layers(&self, pixel_values: &Tensor, at: &[usize]) -> Result<Vec<Tensor>> {
        let last = at.iter().copied().max().unwrap_or(0);
        if last > self.blocks.len() {
            candle_core::bail!("the states behind {last} of {} layers", self.blocks.len());
        }
        let mut states = vec![None; at.len()];
        let mut x = self.embed(pixel_values)?;
        let grid = self.grid_of(pixel_values)?;
        for behind in 0..=last {
            if behind > 0 {
                x = self.layer(behind - 1, &x, grid)?;
            }
            let wanted = states.iter_mut().zip(at).filter(|(_, at)| **at == behind);
            wanted.for_each(|(state, _)| *state = Some(x.clone()));
        }
        Ok(states.into_iter().flatten().collect())
    }

    /// What goes into the first layer: `[batch, 3, height, width]` to `[batch, tokens, dim]`.
    pub fn embed(&self, pixel_values: &Tensor) -> Result<Tensor> {
        let (batch, _, height, width) = pixel_values.dims4()?;
        let positions = self.positions.at(self.patches.grid([height, width]))?;
        let mut x = self.patches.forward(pixel_values, &positions)?;
        let each = |tokens: &Tensor| {
            let (_, count, dim) = tokens.dims3()?;
            tokens.broadcast_as((batch, count, dim))
        };
        let before = self.prefix.as_ref().map(each).transpose()?;
        let behind = self.trailing.as_ref().map(each).transpose()?;
        if before.is_some() || behind.is_some() {
            let all: Vec<&Tensor> = before.iter().chain([&x]).chain(&behind).collect();
            x = Tensor::cat(&all, 1)?;
        }
        match &self.norm_before {
            Some(norm) => norm.forward(&x),
            None => Ok(x),
        }
    }

    /// The layers, in order; [`Vit::layer`] runs one, in its windows where it has them.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The last norm, of states `[.., dim]`; where there is none they stay as they are.
    pub fn normalise(&self, states: &Tensor) -> Result<Tensor> {
        match &self.norm_after {
            Some(norm) => norm.forward(states),
            None => Ok(states.clone()),
        }
    }

    /// How many tokens stand before those of the patches.
    pub fn prefix(&self) -> usize {
        self.prefix.as_ref().map_or(0, |prefix| prefix.dims()[1])
    }

    /// Rows and columns of patches in an image of that height and width.
    pub fn grid(&self, image: [usize; 2]) -> [usize; 2] {
        self.patches.grid(image)
    }

    fn grid_of(&self, pixel_values: &Tensor) -> Result<[usize; 2]> {
        let (_, _, height, width) = pixel_values.dims4()?;
        Ok(self.grid([height, width]))
    }
}

/// The side of a layer's windows; `None` where attention is over everything.
fn window_of(windows: Option<&Windows>, layer: usize) -> Option<usize> {
    windows.filter(|windows| !windows.global.contains(&layer)).map(|windows| windows.side)
}

/// What tokens are made of besides pixels.
struct Tokens {
    /// `[1, prefix, dim]`.
    prefix: Option<Tensor>,
    /// `[1, trailing, dim]`.
    trailing: Option<Tensor>,
    /// Of the patches: `[patches, dim]`.
    positions: Tensor,
}

fn load_tokens(
    weights: &Weights,
    config: &VitConfig,
    names: &VitNames,
    patches: usize,
) -> Result<Tokens, WeightsError> {
    let &VitConfig { dim, trailing, .. } = config;
    let mut tokens = Vec::new();
    if matches!(config.class_token, ClassToken::First | ClassToken::Unplaced) {
        tokens.push(vectors(weights, names.class_token, 1, dim)?);
    }
    if config.distilled {
        tokens.push(vectors(weights, names.distillation_token, 1, dim)?);
    }
    let lonely = usize::from(config.class_token == ClassToken::PositionOnly);
    let placed = if config.class_token == ClassToken::Unplaced { 0 } else { tokens.len() };
    let first = placed + lonely;
    let all = match weights.has(names.positions) || config.final_norm != FinalNorm::Absent {
        true => vectors(weights, names.positions, first + patches + trailing, dim)?,
        // A SAM or a BEiT may do with relative positions alone.
        // A SAM or a BEiT may do with relative positions alone.
        false => weights.zeros(&[first + patches + trailing, dim])?,
    };
    if config.registers > 0 {
        tokens.push(vectors(weights, names.registers, config.registers, dim)?);
    }
    let behind = match trailing {
        0 => None,
        count => Some(vectors(weights, names.trailing, count, dim)?),
    };
    let mut place = || {
        for (index, token) in tokens.iter_mut().take(placed).enumerate() {
            *token = (&*token + all.narrow(0, index, 1)?)?;
        }
        let mut positions = all.narrow(0, first, patches)?.contiguous()?;
        if lonely == 1 {
            positions = positions.broadcast_add(&all.narrow(0, placed, 1)?)?;
        }
        let prefix = match tokens.is_empty() {
            true => None,
            false => Some(Tensor::cat(&tokens, 0)?.unsqueeze(0)?),
        };
        let placed = |tokens: &Tensor| (tokens + all.narrow(0, first + patches, trailing)?)?.unsqueeze(0);
        Ok(Tokens { prefix, trailing: behind.as_ref().map(placed).transpose()?, positions })
    };
    place().map_err(WeightsError::Engine)
}

/// A tensor `[rows, dim]`, whose rows may lie in several dimensions in the file (a map, leading ones), or which has none
/// where there is one row.
fn vectors(weights: &Weights, name: &str, rows: usize, dim: usize) -> Result<Tensor, WeightsError> {
    let fits = |shape: &&[usize]| shape.last() == Some(&dim) && shape.iter().product::<usize>() == rows * dim;
    let shape = weights.shape(name).filter(fits).unwrap_or(&[rows, dim]).to_vec();
    weights.get(name, &shape)?.reshape((rows, dim)).map_err(WeightsError::Engine)
}
