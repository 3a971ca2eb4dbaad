//! The numbers of a Mix Transformer, and how a `config.json` states them.

use serde::Deserialize;
use serde_json::Value;

use crate::activation::Activation;
use crate::weights::WeightsError;

/// What differs between Mix Transformers in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct MitConfig {
    /// Channels of the image.
    pub channels: usize,
    /// The stages, from the largest map to the smallest.
    pub stages: Vec<StageShape>,
    /// Inside the MLPs.
    pub activation: Activation,
}

/// One stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageShape {
    /// Channels of a token.
    pub dim: usize,
    /// Layers.
    pub depth: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Channels inside the MLP.
    pub hidden: usize,
    /// Keys and values see one of this many pixels in each direction.
    pub reduction: usize,
    /// Side of the pixels that become one token; they overlap.
    pub patch: usize,
    /// Pixels from one token to the next.
    pub stride: usize,
}

/// `config.json`, with the defaults of transformers' `SegformerConfig` (MiT-B0).
#[derive(Deserialize)]
#[serde(default)]
struct Stated {
    num_channels: usize,
    depths: Vec<usize>,
    sr_ratios: Vec<usize>,
    hidden_sizes: Vec<usize>,
    patch_sizes: Vec<usize>,
    strides: Vec<usize>,
    num_attention_heads: Vec<usize>,
    mlp_ratios: Vec<f64>,
    hidden_act: String,
}

impl Default for Stated {
    fn default() -> Self {
        Self {
            num_channels: 3,
            depths: vec![2; 4],
            sr_ratios: vec![8, 4, 2, 1],
            hidden_sizes: vec![32, 64, 160, 256],
            patch_sizes: vec![7, 3, 3, 3],
            strides: vec![4, 2, 2, 2],
            num_attention_heads: vec![1, 2, 5, 8],
            mlp_ratios: vec![4.0; 4],
            hidden_act: "gelu".into(),
        }
    }
}

impl MitConfig {
    /// Reads the `config.json` of a SegFormer or a GLPN.
    ///
    /// # Errors
    /// For values that make no sense.
    pub fn of(config: &Value) -> Result<Self, WeightsError> {
        let wrong = |reason: String| WeightsError::Format(format!("config.json: {reason}"));
        let stated = Stated::deserialize(config).map_err(|error| wrong(error.to_string()))?;
        let Stated { depths, sr_ratios, hidden_sizes, patch_sizes, strides, .. } = &stated;
        let (heads, ratios) = (&stated.num_attention_heads, &stated.mlp_ratios);
        let count = depths.len();
        let lengths = [sr_ratios, hidden_sizes, patch_sizes, strides, heads].map(Vec::len);
        if count == 0 || lengths.iter().any(|length| *length != count) || ratios.len() != count {
            return Err(wrong(format!("the lists of its {count} stages differ in length")));
        }
        let stage = |index: usize| StageShape {
            dim: hidden_sizes[index],
            depth: depths[index],
            heads: heads[index],
            hidden: (hidden_sizes[index] as f64 * ratios[index]) as usize,
            reduction: sr_ratios[index],
            patch: patch_sizes[index],
            stride: strides[index],
        };
        let stages = (0..count).map(stage).collect::<Vec<_>>();
        if stages.iter().any(|s| [s.dim, s.hidden, s.reduction, s.patch, s.stride].contains(&0)) {
            return Err(wrong("a stage has a zero".into()));
        }
        let activation = Activation::from_config(&stated.hidden_act)
            .ok_or_else(|| wrong(format!("`hidden_act` is `{}`, which is unknown", stated.hidden_act)))?;
        Ok(Self { channels: stated.num_channels, stages, activation })
    }
}
