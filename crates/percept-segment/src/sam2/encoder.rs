//! SAM 2's image encoder (`Sam2VisionModel`): Hiera, a feature pyramid, and the decoder's two convolutions of its finer
//! levels.

use percept_backbone::hiera::{Hiera, HieraConfig};
use percept_backbone::{
    Alignment, Filter, Linear, Result, Tensor, ToContiguous, Weights, WeightsError, resize,
};
use serde_json::Value;

use crate::sam::config::{count, wrong};
use crate::sam::decoder::{ImageEmbedding, by_cell};

#[derive(Debug)]
pub(crate) struct Sam2Encoder {
    hiera: Hiera,
    /// Of the levels that the decoder sees, from fine to coarse. What the decoder does to the two finer ones is folded
    /// in, where nothing comes between.
    laterals: Vec<Linear>,
    /// Of coarser levels, which are added to those below.
    above: Vec<Linear>,
    /// What a picture without a past gets: `[1, 1, dim]`.
    no_memory: Tensor,
}

impl Sam2Encoder {
    /// Reads `vision_config`; `weights` are those of the whole model, `dim` are the channels of the decoder.
    pub(crate) fn load(weights: &Weights, config: &Value, dim: usize) -> Result<Self, WeightsError> {
        let hiera = HieraConfig::of(&config["backbone_config"])?;
        let vision = weights.at("vision_encoder");
        let number = |name: &str, default| count(config, name, default);
        let plain = [number("fpn_kernel_size", 1)?, number("fpn_stride", 1)?, number("fpn_padding", 0)?];
        let levels = hiera.dims.len();
        if plain != [1, 1, 0]
            || number("fpn_hidden_size", 256)? != dim
            || number("num_feature_levels", 3)? != 3
        {
            return Err(wrong("the feature pyramid is not the published one"));
        }
        let top_down = match config["fpn_top_down_levels"].as_array() {
            Some(levels) => levels.iter().filter_map(Value::as_u64).map(|level| level as usize).collect(),
            None => vec![2, 3],
        };
        if levels < 3 || top_down.contains(&0) || top_down.contains(&1) {
            return Err(wrong("the feature pyramid is not the published one"));
        }
        let convs = vision.at("neck.convs");
        // They are stored from coarse to fine.
        let lateral =
            |level: usize| Matrix::load(&convs.at((levels - 1 - level).to_string()), hiera.dims[level], dim);
        let detail =
            |name: &str, share: usize| Matrix::load(&weights.at("mask_decoder").at(name), dim, dim / share);
        let laterals = vec![
            lateral(0)?.then(&detail("conv_s0", 8)?),
            lateral(1)?.then(&detail("conv_s1", 4)?),
            Ok(lateral(2)?),
        ];
        let linear = |matrix: Result<Matrix>| {
            matrix
                .and_then(|matrix| Linear::new(&matrix.weight, Some(matrix.bias), weights.precision()))
                .map_err(WeightsError::Engine)
        };
        // Coarser levels come down as far as no level in between leaves them out.
        let reach = (2..levels - 1).take_while(|level| top_down.contains(level)).count();
        let above = (3..3 + reach).map(|level| linear(Ok(lateral(level)?)));
        let no_memory = match weights.has("no_memory_embedding") {
            true => weights.get("no_memory_embedding", &[1, 1, dim])?,
            false => weights.zeros(&[1, 1, dim])?,
        };
        Ok(Self {
            laterals: laterals.into_iter().map(linear).collect::<Result<_, _>>()?,
            above: above.collect::<Result<_, _>>()?,
            no_memory,
            hiera: Hiera::load(&vision.at("backbone"), &hiera)?,
        })
    }

    /// `[1, 3, canvas, canvas]` to the decoder's input and the maps that it is made of, from fine to coarse, each
    /// `[1, height, width, channels]`.
    pub(crate) fn forward(&self, pixels: &Tensor) -> Result<(ImageEmbedding, Vec<Tensor>)> {
        let stages = self.hiera.stages(pixels)?;
        let mut maps = Vec::new();
        for (stage, lateral) in stages.iter().zip(&self.laterals) {
            maps.push(lateral.forward(stage)?);
        }
        // From the coarsest down, each twice as wide as the one above it.
        let mut coarse: Option<Tensor> = None;
        for (stage, lateral) in stages[3..].iter().zip(&self.above).rev() {
            coarse = Some(with_above(lateral.forward(stage)?, coarse)?);
        }
        let map = with_above(maps.remove(2), coarse)?.broadcast_add(&self.no_memory)?;
        let (_, grid, _, dim) = map.dims4()?;
        let tokens = |map: &Tensor| map.flatten(1, 2);
        let details = [by_cell(&tokens(&maps[1])?, grid, 1)?, by_cell(&tokens(&maps[0])?, grid, 2)?];
        let cells = map.reshape((1, grid * grid, dim))?;
        maps.push(map);
        Ok((ImageEmbedding { cells, details: Some(details) }, maps))
    }
}

/// A map `[batch, height, width, channels]` plus a coarser one, each of whose tokens stands for four.
fn with_above(map: Tensor, coarse: Option<Tensor>) -> Result<Tensor> {
    let Some(coarse) = coarse else { return Ok(map) };
    let (_, height, width, _) = map.dims4()?;
    let coarse = resize(
        &coarse.permute([0, 3, 1, 2])?.to_contiguous()?,
        [height, width],
        Filter::Nearest,
        Alignment::Edges,
    )?;
    map + coarse.permute([0, 2, 3, 1])?
}

/// A convolution of one pixel.
struct Matrix {
    /// `[output, input]`.
    weight: Tensor,
    bias: Tensor,
}

impl Matrix {
    fn load(weights: &Weights, input: usize, output: usize) -> Result<Self, WeightsError> {
        let weight = weights.get("weight", &[output, input, 1, 1])?;
        let weight = weight.reshape((output, input)).map_err(WeightsError::Engine)?;
        Ok(Self { weight, bias: weights.get("bias", &[output])? })
    }

    /// This one and then another as one.
    fn then(&self, next: &Self) -> Result<Self> {
        let bias = next.weight.matmul(&self.bias.unsqueeze(1)?)?.squeeze(1)?;
        Ok(Self { weight: next.weight.matmul(&self.weight)?, bias: (bias + &next.bias)? })
    }
}
