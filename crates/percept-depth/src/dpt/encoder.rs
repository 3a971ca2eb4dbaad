//! What a DPT looks at a picture with.

use percept_backbone::bit::{Bit, BitConfig};
use percept_backbone::checkpoint::wrong;
use percept_backbone::vit::{Vit, VitConfig, VitNames};
use percept_backbone::{EngineError, Result, Tensor, Weights, WeightsError};
use serde_json::Value;

use crate::backbone::{Backbone, States};
use crate::neck::NeckConfig;

/// From pixels to the states that the neck takes.
pub(super) enum Encoder {
    /// Its own Vision Transformer.
    Plain(Layers),
    /// The same over the last map of a BiT, whose first two maps are states themselves.
    Hybrid { bit: Box<Bit>, layers: Layers },
    /// What `backbone_config` says.
    Given(Backbone),
}

/// A Vision Transformer, and the layers behind which it is looked at, from 1.
pub(super) struct Layers {
    vit: Vit,
    at: Vec<usize>,
    dim: usize,
}

/// The maps of a BiT that are states themselves; the reference knows no other number.
const MAPS: usize = 2;

impl Encoder {
    pub(super) fn load(weights: &Weights, config: &Value, neck: &NeckConfig) -> Result<Self, WeightsError> {
        let hybrid = config["is_hybrid"].as_bool().unwrap_or(false);
        let encoder = match (hybrid, &config["backbone_config"]) {
            (false, Value::Null) => Self::Plain(Layers::plain(&weights.at("dpt"), config)?),
            (false, backbone) => Self::Given(Backbone::load(&weights.at("backbone"), backbone)?),
            (true, backbone) => {
                let ignored = counts_from_zero(&config["neck_ignore_stages"]);
                if ignored.is_some_and(|ignored| ignored != [0, 1]) {
                    let ignored = &config["neck_ignore_stages"];
                    return Err(wrong(format!(
                        "`neck_ignore_stages` is {ignored}, only [0, 1] is supported"
                    )));
                }
                let bit = bit_config(backbone)?;
                let weights = weights.at("dpt");
                let layers = Layers::hybrid(&weights, config, bit.channels.last().copied().unwrap_or(0))?;
                let bit = Box::new(Bit::load(&weights.at("embeddings.backbone.bit"), &bit)?);
                Self::Hybrid { bit, layers }
            }
        };
        let (states, stages) = (encoder.states(), neck.stages.len());
        if states != stages {
            return Err(wrong(format!("`backbone_out_indices` gives {states} states for {stages} stages")));
        }
        Ok(encoder)
    }

    fn states(&self) -> usize {
        match self {
            Self::Plain(layers) => layers.at.len(),
            Self::Hybrid { layers, .. } => MAPS + layers.at.len(),
            Self::Given(backbone) => backbone.stages(),
        }
    }

    /// Channels of a token.
    pub(super) fn dim(&self) -> usize {
        match self {
            Self::Plain(layers) | Self::Hybrid { layers, .. } => layers.dim,
            Self::Given(backbone) => backbone.dim,
        }
    }

    /// How many of the first states are maps.
    pub(super) fn maps(&self) -> usize {
        if matches!(self, Self::Hybrid { .. }) { MAPS } else { 0 }
    }

    /// Images `[batch, 3, height, width]` to states.
    pub(super) fn forward(&self, pixel_values: &Tensor) -> Result<States> {
        match self {
            Self::Given(backbone) => backbone.forward(pixel_values),
            Self::Plain(layers) => layers.forward(pixel_values),
            Self::Hybrid { bit, layers } => {
                let mut maps = bit.feature_maps(pixel_values)?;
                let Some(last) = maps.pop() else {
                    return Err(EngineError::Msg("a BiT without maps".into()));
                };
                let States { layers, grid } = layers.forward(&last)?;
                maps.extend(layers);
                Ok(States { layers: maps, grid })
            }
        }
    }
}

impl Layers {
    fn plain(weights: &Weights, config: &Value) -> Result<Self, WeightsError> {
        let (shape, names) = VitConfig::of(config)?;
        Self::load(weights, &shape, &names, config, 0)
    }

    /// Its patches are the pixels of a map of `channels`.
    fn hybrid(weights: &Weights, config: &Value, channels: usize) -> Result<Self, WeightsError> {
        let (shape, names) = VitConfig::of(config)?;
        let image = shape.image.map(|side| side / shape.patch);
        let shape = VitConfig { channels, patch: 1, image, ..shape };
        let names = VitNames { patches: "embeddings.projection", ..names };
        Self::load(weights, &shape, &names, config, MAPS)
    }

    /// `skipped` of the indices stand for maps.
    fn load(
        weights: &Weights,
        shape: &VitConfig,
        names: &VitNames,
        config: &Value,
        skipped: usize,
    ) -> Result<Self, WeightsError> {
        let indices = match &config["backbone_out_indices"] {
            Value::Null => vec![2, 5, 8, 11],
            value => counts_from_zero(value)
                .ok_or_else(|| wrong(format!("`backbone_out_indices` is {value}, not a list of layers")))?,
        };
        // The reference takes them in the order of the layers.
        let mut at: Vec<usize> = indices.iter().skip(skipped).map(|layer| layer + 1).collect();
        at.sort_unstable();
        if at.is_empty() || at.last().is_some_and(|last| *last > shape.depth) {
            let depth = shape.depth;
            return Err(wrong(format!("`backbone_out_indices` is {indices:?}, of {depth} layers")));
        }
        Ok(Self { vit: Vit::load(weights, shape, names)?, at, dim: shape.dim })
    }

    fn forward(&self, image: &Tensor) -> Result<States> {
        let (_, _, height, width) = image.dims4()?;
        Ok(States { layers: self.vit.layers(image, &self.at)?, grid: self.vit.grid([height, width]) })
    }
}

/// The BiT of a hybrid; without a configuration that which the reference makes.
fn bit_config(config: &Value) -> Result<BitConfig, WeightsError> {
    let mut all = serde_json::json!({
        "global_padding": "same", "layer_type": "bottleneck", "depths": [3, 4, 9],
        "out_features": ["stage1", "stage2", "stage3"], "embedding_dynamic_padding": true,
    });
    if let Value::Object(given) = config {
        let kind = config["model_type"].as_str().unwrap_or("bit");
        if kind != "bit" {
            return Err(wrong(format!("`backbone_config.model_type` of a hybrid is `{kind}`, not `bit`")));
        }
        // What is given is a configuration of its own, whose defaults are those of its class.
        all = Value::Object(given.clone());
    }
    let bit = BitConfig::of(&all)?;
    if bit.stages.len() != MAPS + 1 {
        let count = bit.stages.len();
        return Err(wrong(format!("`backbone_config.out_features` names {count} maps, three are wanted")));
    }
    Ok(bit)
}

fn counts_from_zero(value: &Value) -> Option<Vec<usize>> {
    let count = |value: &Value| value.as_u64().map(|count| count as usize);
    value.as_array()?.iter().map(count).collect()
}
