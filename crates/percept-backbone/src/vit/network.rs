//! The network itself.

use candle_core::Tensor;

use super::config::{ClassToken, FinalNorm, VitConfig};
use super::names::VitNames;
use super::patch::Patches;
use super::positions::Positions;
use crate::Result;
use crate::block::{Block, BlockShape};
use crate::norm::LayerNorm;
use crate::weights::{Weights, WeightsError};

/// A Vision Transformer, from pixels to the states of its tokens.
///
/// [`Vit::tokens`] is `embed`, then each of `blocks`, then `normalise`; a caller that wants something
/// in between (windows, merged tokens, an early end) runs them itself.
#[derive(Debug)]
pub struct Vit {
    patches: Patches,
    positions: Positions,
    /// The tokens before those of the patches, with their positions: `[1, prefix, dim]`.
    prefix: Option<Tensor>,
    norm_before: Option<LayerNorm>,
    blocks: Vec<Block>,
    norm_after: LayerNorm,
    final_norm: FinalNorm,
}

impl Vit {
    /// Loads a network. `weights` stand at the prefix that `names` continue.
    pub fn load(weights: &Weights, config: &VitConfig, names: &VitNames) -> Result<Self, WeightsError> {
        let weights = &names.apart(weights);
        let &VitConfig { dim, heads, hidden, activation, eps, .. } = config;
        let patches = Patches::load(&weights.at(names.patches), dim, config.patch, config.padding)?;
        let grid = patches.grid(config.image);
        let (prefix, positions) = load_tokens(weights, config, names, grid[0] * grid[1])?;
        let norm = |name| LayerNorm::load(&weights.at(name), dim, eps);
        let shape = BlockShape { dim, heads, hidden, activation, eps };
        let layers = weights.at(names.layers);
        let blocks = (0..config.depth)
            .map(|layer| Block::load(&layers.at(layer.to_string()), names.block, shape))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            patches,
            positions: Positions::new(positions, grid, config.resampling),
            prefix,
            norm_before: names.norm_before.map(norm).transpose()?,
            blocks,
            norm_after: norm(names.norm_after)?,
            final_norm: config.final_norm,
        })
    }

    /// The last hidden states of images `[batch, 3, height, width]`: `[batch, tokens, dim]`. The first
    /// [`Vit::prefix`] of the tokens are no patches; the others come row by row, as [`Vit::grid`] says.
    ///
    /// The size of the images may be another than that of the checkpoint: positions are interpolated.
    pub fn tokens(&self, pixel_values: &Tensor) -> Result<Tensor> {
        let mut x = self.embed(pixel_values)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        match self.final_norm {
            FinalNorm::Tokens => self.normalise(&x),
            FinalNorm::Pooled => Ok(x),
        }
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
        for behind in 0..=last {
            if behind > 0 {
                x = self.blocks[behind - 1].forward(&x)?;
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
        if let Some(prefix) = &self.prefix {
            let (_, count, dim) = prefix.dims3()?;
            x = Tensor::cat(&[&prefix.broadcast_as((batch, count, dim))?, &x], 1)?;
        }
        match &self.norm_before {
            Some(norm) => norm.forward(&x),
            None => Ok(x),
        }
    }

    /// The layers, in order.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The last norm, of states `[.., dim]`.
    pub fn normalise(&self, states: &Tensor) -> Result<Tensor> {
        self.norm_after.forward(states)
    }

    /// How many tokens stand before those of the patches.
    pub fn prefix(&self) -> usize {
        self.prefix.as_ref().map_or(0, |prefix| prefix.dims()[1])
    }

    /// Rows and columns of patches in an image of that height and width.
    pub fn grid(&self, image: [usize; 2]) -> [usize; 2] {
        self.patches.grid(image)
    }
}

/// The tokens before those of the patches, and the positions `[patches, dim]`.
fn load_tokens(
    weights: &Weights,
    config: &VitConfig,
    names: &VitNames,
    patches: usize,
) -> Result<(Option<Tensor>, Tensor), WeightsError> {
    let dim = config.dim;
    let mut tokens = Vec::new();
    if matches!(config.class_token, ClassToken::First | ClassToken::Unplaced) {
        tokens.push(vectors(weights, names.class_token, 1, dim)?);
    }
    if config.distilled {
        tokens.push(vectors(weights, names.distillation_token, 1, dim)?);
    }
    let lonely = usize::from(config.class_token == ClassToken::PositionOnly);
    let placed = if config.class_token == ClassToken::Unplaced { 0 } else { tokens.len() };
    let all = vectors(weights, names.positions, placed + lonely + patches, dim)?;
    if config.registers > 0 {
        tokens.push(vectors(weights, names.registers, config.registers, dim)?);
    }
    let mut place = || {
        for (index, token) in tokens.iter_mut().take(placed).enumerate() {
            *token = (&*token + all.narrow(0, index, 1)?)?;
        }
        let mut positions = all.narrow(0, placed + lonely, patches)?.contiguous()?;
        if lonely == 1 {
            positions = positions.broadcast_add(&all.narrow(0, placed, 1)?)?;
        }
        let prefix = match tokens.is_empty() {
            true => None,
            false => Some(Tensor::cat(&tokens, 0)?.unsqueeze(0)?),
        };
        Ok((prefix, positions))
    };
    place().map_err(WeightsError::Engine)
}

/// A tensor `[rows, dim]`, which the file may have with leading dimensions of 1, or without `rows`
/// where there is one.
fn vectors(weights: &Weights, name: &str, rows: usize, dim: usize) -> Result<Tensor, WeightsError> {
    let core = |shape: &[usize]| shape.iter().copied().skip_while(|length| *length == 1).collect::<Vec<_>>();
    let wanted = [rows, dim];
    let shape = weights.shape(name).filter(|found| core(found) == core(&wanted)).unwrap_or(&wanted).to_vec();
    weights.get(name, &shape)?.reshape((rows, dim)).map_err(WeightsError::Engine)
}
