//! The neck of a Dense Prediction Transformer (Ranftl et al. 2021, "Vision Transformers for Dense Prediction", arXiv
//! 2103.13413; `DPTNeck`, and those of Depth Anything and ZoeDepth): states of several layers become maps of several
//! sizes, which are fused from the smallest to the largest.

mod config;
mod fusion;
mod reassemble;

use percept_backbone::{Conv2d, ConvShape, EngineError, Result, Tensor, Weights, WeightsError};

pub(crate) use config::{Growth, NeckConfig, Readout};
pub(crate) use fusion::ResidualUnit;

use crate::backbone::States;
use fusion::Fusion;
use reassemble::Reassemble;

/// From the states of a Transformer to maps.
pub(crate) struct Neck {
    /// From the backbone's first state to its last; `None` where the backbone gives a map already.
    reassemble: Vec<Option<Reassemble>>,
    /// Each map to the neck's width.
    narrow: Vec<Conv2d>,
    /// In the order in which they are run: the first has the last map.
    fusions: Vec<Fusion>,
    growth: Growth,
}

/// What a neck gives.
pub(crate) struct Fused {
    /// The smallest map, before it is fused: `[batch, width, rows, columns]`.
    pub(crate) smallest: Tensor,
    /// The fused maps, the smallest first: `[batch, width, height, columns]`.
    pub(crate) maps: Vec<Tensor>,
}

impl Neck {
    /// Loads `neck`, for tokens of `dim` channels. The backbone gives maps, not tokens, for the first `maps` stages.
    pub(crate) fn load(
        weights: &Weights,
        config: &NeckConfig,
        dim: usize,
        maps: usize,
    ) -> Result<Self, WeightsError> {
        let &NeckConfig { readout, width, batch_norm, growth, .. } = config;
        let stages = || config.stages.iter().copied().enumerate();
        let stage = weights.at("reassemble_stage");
        let reassemble = stages().map(|(index, stage_shape)| match index < maps {
            true => Ok(None),
            false => Reassemble::load(&stage, index, dim, stage_shape, readout).map(Some),
        });
        let narrow = stages().map(|(index, stage)| {
            let shape = ConvShape::square(width, stage.channels, 3).padding(1);
            Conv2d::load(&weights.at(format!("convs.{index}")), shape)
        });
        let fusions = (0..config.stages.len()).map(|index| {
            Fusion::load(&weights.at(format!("fusion_stage.layers.{index}")), width, batch_norm, index > 0)
        });
        Ok(Self {
            reassemble: reassemble.collect::<Result<_, _>>()?,
            narrow: narrow.collect::<Result<_, _>>()?,
            fusions: fusions.collect::<Result<_, _>>()?,
            growth,
        })
    }

    /// The states of a backbone to maps.
    pub(crate) fn forward(&self, states: &States) -> Result<Fused> {
        if states.layers.len() != self.narrow.len() {
            return Err(EngineError::Msg(format!(
                "{} states for {} stages",
                states.layers.len(),
                self.narrow.len()
            )));
        }
        let parts = self.reassemble.iter().zip(&self.narrow).zip(&states.layers);
        let features = parts.map(|((reassemble, narrow), state)| match reassemble {
            Some(reassemble) => narrow.forward(&reassemble.forward(state, states.grid)?),
            None => narrow.forward(state),
        });
        let mut features = features.collect::<Result<Vec<_>>>()?;
        features.reverse();
        let mut maps: Vec<Tensor> = Vec::with_capacity(features.len());
        for (index, (fusion, feature)) in self.fusions.iter().zip(&features).enumerate() {
            let size = match (self.growth, features.get(index + 1)) {
                (Growth::ToNext, Some(next)) => Some([next.dim(2)?, next.dim(3)?]),
                _ => None,
            };
            maps.push(match maps.last() {
                None => fusion.forward(feature, None, size)?,
                Some(map) => fusion.forward(map, Some(feature), size)?,
            });
        }
        Ok(Fused { smallest: features.swap_remove(0), maps })
    }
}

impl Fused {
    /// The map that `head_in_index` names: from the end where it is negative.
    pub(crate) fn at(&self, index: i64) -> Result<&Tensor> {
        let count = self.maps.len() as i64;
        let place = if index < 0 { index + count } else { index };
        match usize::try_from(place).ok().and_then(|place| self.maps.get(place)) {
            Some(map) => Ok(map),
            None => Err(EngineError::Msg(format!("`head_in_index` is {index}, of {count} maps"))),
        }
    }
}
