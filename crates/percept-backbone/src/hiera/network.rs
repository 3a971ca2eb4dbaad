//! The network itself.

use std::sync::{Mutex, PoisonError};

use candle_core::Tensor;
use percept_kernels::{Alignment, ConvShape, Filter};

use super::block::HieraBlock;
use super::config::HieraConfig;
use crate::conv2d::Conv2d;
use crate::elementwise::add_to_each;
use crate::resample::resize;
use crate::vit::Split;
use crate::weights::{Weights, WeightsError};
use crate::{Result, ToContiguous};

/// How checkpoints store the matrices of attention.
const SPLITS: &[Split] =
    &[Split { whole: "attn.qkv", parts: &["attn.q_proj", "attn.k_proj", "attn.v_proj"] }];

/// A Hiera, from pixels to a map of tokens behind each stage.
///
/// [`Hiera::stages`] is `embed`, then each of `blocks`; a caller that wants something in between (merged tokens, an early
/// end) runs them itself.
#[derive(Debug)]
pub struct Hiera {
    patches: Conv2d,
    /// `[1, dim, height, width]`, stretched over the map.
    background: Tensor,
    /// `[1, dim, side, side]`, repeated in each window.
    in_window: Tensor,
    blocks: Vec<HieraBlock>,
    stage_ends: Vec<usize>,
    /// The positions of the map that was asked for last, since images mostly come in one size.
    positions: Mutex<Option<([usize; 2], Tensor)>>,
}

impl Hiera {
    /// Loads a network; `weights` stand at the backbone (`vision_encoder.backbone`).
    pub fn load(weights: &Weights, config: &HieraConfig) -> Result<Self, WeightsError> {
        let weights = &Split::apart(SPLITS, weights);
        let dim = config.dims[0];
        let [side, step, padding] = config.patch;
        let patches =
            ConvShape { stride: [step; 2], padding: [padding; 2], ..ConvShape::square(dim, 3, side) };
        let [height, width] = config.background;
        let window = config.window_positions;
        let blocks = config.blocks.iter().enumerate();
        let layers = weights.at("blocks");
        let blocks =
            blocks.map(|(index, shape)| HieraBlock::load(&layers.at(index.to_string()), config, shape));
        Ok(Self {
            patches: Conv2d::load(&weights.at("patch_embed.projection"), patches)?,
            background: weights.get("pos_embed", &[1, dim, height, width])?,
            in_window: weights.get("pos_embed_window", &[1, dim, window, window])?,
            blocks: blocks.collect::<Result<_, _>>()?,
            stage_ends: config.stage_ends.clone(),
            positions: Mutex::new(None),
        })
    }

    /// The map behind each stage, `[batch, height, width, channels]`, of images `[batch, 3, height, width]`.
    pub fn stages(&self, pixel_values: &Tensor) -> Result<Vec<Tensor>> {
        let mut x = self.embed(pixel_values)?;
        let mut stages = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x)?;
            if self.stage_ends.contains(&index) {
                stages.push(x.clone());
            }
        }
        Ok(stages)
    }

    /// What goes into the first layer: `[batch, 3, height, width]` to `[batch, rows, columns, channels]`.
    pub fn embed(&self, pixel_values: &Tensor) -> Result<Tensor> {
        let patches = self.patches.forward(pixel_values)?;
        let (_, _, rows, columns) = patches.dims4()?;
        let positions = self.positions_of([rows, columns])?;
        add_to_each(&patches.permute([0, 2, 3, 1])?.to_contiguous()?, &positions)
    }

    /// The layers, in order.
    pub fn blocks(&self) -> &[HieraBlock] {
        &self.blocks
    }

    /// `[1, rows, columns, dim]`.
    fn positions_of(&self, map: [usize; 2]) -> Result<Tensor> {
        let mut last = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, positions)) = &*last
            && *of == map
        {
            return Ok(positions.clone());
        }
        let (_, _, side, _) = self.in_window.dims4()?;
        if !map.iter().all(|length| length.is_multiple_of(side)) {
            candle_core::bail!("a map of {map:?} tokens does not divide into windows of {side}");
        }
        let repeated = self.in_window.repeat((1, 1, map[0] / side, map[1] / side))?;
        let positions = (resize(&self.background, map, Filter::Bicubic, Alignment::Edges)? + repeated)?;
        let positions = positions.permute([0, 2, 3, 1])?.to_contiguous()?;
        *last = Some((map, positions.clone()));
        Ok(positions)
    }
}
