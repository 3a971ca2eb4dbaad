//! The feature pyramid network of kernel point convolutions (`backbone.py`, `KPConvFPN`).

use percept_backbone::{Linear, Result, Weights, WeightsError};

use super::configuration::Backbone as Shape;
use super::convolution::{KpConv, PointNorm, Rows};
use super::pyramid::{Near, Stage};

/// A matrix and a norm (`UnaryBlock`); without the norm, `LastUnaryBlock`.
#[derive(Clone, Debug)]
struct Unary {
    linear: Linear,
    norm: Option<PointNorm>,
    output: usize,
}

impl Unary {
    fn load(weights: &Weights, [input, output]: [usize; 2], groups: usize) -> Result<Self, WeightsError> {
        let norm = Some(PointNorm::load(&weights.at("norm"), groups, output)?);
        Ok(Self { norm, ..Self::load_last(weights, [input, output])? })
    }

    fn load_last(weights: &Weights, [input, output]: [usize; 2]) -> Result<Self, WeightsError> {
        Ok(Self { linear: Linear::load(&weights.at("mlp"), input, output)?, norm: None, output })
    }

    fn forward(&self, rows: &Rows) -> Result<Rows> {
        let rows = rows.through(&self.linear, self.output)?;
        Ok(match &self.norm {
            Some(norm) => norm.forward(rows),
            None => rows,
        })
    }
}

/// A bottleneck with a shortcut (`ResidualBlock`).
#[derive(Clone, Debug)]
struct Residual {
    narrow: Option<Unary>,
    convolution: KpConv,
    norm: PointNorm,
    wide: Unary,
    shortcut: Option<Unary>,
}

impl Residual {
    fn load(
        weights: &Weights,
        shape: &Shape,
        [input, output]: [usize; 2],
        sigma: f64,
    ) -> Result<Self, WeightsError> {
        let (groups, middle) = (shape.group_norm, output / 4);
        let unary = |name: &str, sizes| Unary::load(&weights.at(name), sizes, groups);
        Ok(Self {
            narrow: (input != middle).then(|| unary("unary1", [input, middle])).transpose()?,
            convolution: KpConv::load(&weights.at("KPConv"), shape.kernel_size, [middle; 2], sigma)?,
            norm: PointNorm::load(&weights.at("norm_conv"), groups, middle)?,
            wide: unary("unary2", [middle, output])?,
            shortcut: (input != output).then(|| unary("unary_shortcut", [input, output])).transpose()?,
        })
    }

    /// From the features of `supports` to those of `queries`; where these are fewer the shortcut is the largest of the
    /// neighbours.
    fn forward(
        &self,
        rows: &Rows,
        [queries, supports]: [&[[f32; 3]]; 2],
        near: &Near,
        strided: bool,
    ) -> Result<Rows> {
        let narrow = self.narrow.as_ref().map(|narrow| narrow.forward(rows).map(Rows::leaky)).transpose()?;
        let middle = self.convolution.forward(narrow.as_ref().unwrap_or(rows), queries, supports, near)?;
        let wide = self.wide.forward(&self.norm.forward(middle).leaky())?;
        let pooled = strided.then(|| rows.pooled(near));
        let shortcut = pooled.as_ref().unwrap_or(rows);
        Ok(match &self.shortcut {
            Some(unary) => wide.joined(&unary.forward(shortcut)?),
            None => wide.joined(shortcut),
        })
    }
}

/// The network.
#[derive(Clone, Debug)]
pub(super) struct Backbone {
    first: KpConv,
    first_norm: PointNorm,
    /// By stage; the first of each but the first stage halves the density.
    encoders: Vec<Vec<Residual>>,
    /// From the coarsest stage's neighbour to the finest.
    decoders: Vec<Unary>,
}

impl Backbone {
    /// Loads it.
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let &Shape { num_stages, init_dim, group_norm, fine_stage, output_dim, kernel_size, .. } = shape;
        let channels = |stage: usize| init_dim << stage;
        let sigma = |stage: usize| shape.init_sigma() * f64::from(1_u32 << (stage - 1));
        let mut encoders = Vec::with_capacity(num_stages);
        for stage in 1..=num_stages {
            let block = |at: usize, sizes, sigma| {
                Residual::load(&weights.at(format!("encoder{stage}_{at}")), shape, sizes, sigma)
            };
            let own = channels(stage);
            encoders.push(if stage == 1 {
                vec![block(2, [init_dim, own], sigma(1))?]
            } else {
                let before = channels(stage - 1);
                vec![
                    block(1, [before; 2], sigma(stage - 1))?,
                    block(2, [before, own], sigma(stage))?,
                    block(3, [own; 2], sigma(stage))?,
                ]
            });
        }
        let decoder = |stage: usize| {
            let (weights, input) =
                (weights.at(format!("decoder{stage}")), channels(stage) + channels(stage + 1));
            match stage == fine_stage {
                true => Unary::load_last(&weights, [input, output_dim]),
                false => Unary::load(&weights, [input, channels(stage)], group_norm),
            }
        };
        let first = weights.at("encoder1_1");
        Ok(Self {
            first: KpConv::load(&first.at("KPConv"), kernel_size, [1, init_dim], sigma(1))?,
            first_norm: PointNorm::load(&first.at("norm"), group_norm, init_dim)?,
            encoders,
            decoders: (fine_stage..num_stages).rev().map(decoder).collect::<Result<_, _>>()?,
        })
    }

    /// Features of the points of the fine stage and of the last.
    pub(super) fn forward(&self, stages: &[Stage]) -> Result<[Rows; 2]> {
        let points = &stages[0].points;
        let ones = Rows { values: vec![1.0; points.len()], channels: 1 };
        let first = self.first.forward(&ones, points, points, &stages[0].neighbors)?;
        let mut rows = self.first_norm.forward(first).leaky();
        let mut kept = Vec::with_capacity(stages.len());
        for (at, (stage, blocks)) in stages.iter().zip(&self.encoders).enumerate() {
            for (number, block) in blocks.iter().enumerate() {
                rows = match (&stage.finer, number) {
                    (Some(near), 0) => {
                        block.forward(&rows, [&stage.points, &stages[at - 1].points], near, true)?
                    }
                    _ => block.forward(&rows, [&stage.points; 2], &stage.neighbors, false)?,
                };
            }
            kept.push(rows.clone());
        }
        let Some(coarse) = kept.pop() else { candle_core::bail!("a network without stages") };
        let mut latent = coarse.clone();
        for (at, decoder) in self.decoders.iter().enumerate() {
            let Some(skip) = kept.pop() else { candle_core::bail!("more decoders than stages") };
            let joined = latent.upsampled_beside(&stages[stages.len() - 1 - at].parent, &skip);
            latent = decoder.forward(&joined)?;
            if decoder.norm.is_some() {
                latent = latent.leaky();
            }
        }
        Ok([latent, coarse])
    }
}
