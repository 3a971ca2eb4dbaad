//! The states behind some layers of a Transformer.

use percept_backbone::checkpoint::{out_stages, wrong};
use percept_backbone::vit::{Vit, VitConfig};
use percept_backbone::{Result, Tensor, Weights, WeightsError};
use serde_json::Value;

/// A Transformer over patches, and the layers behind which it is looked at.
pub(crate) struct Backbone {
    vit: Vit,
    /// 0 is the embedding, 1 what the first layer gives.
    stages: Vec<usize>,
    /// Whether states pass the last norm (`apply_layernorm` of a DINOv2).
    normalised: bool,
    /// Channels of a token.
    pub(crate) dim: usize,
    /// Side of a patch, in pixels.
    pub(crate) patch: usize,
}

/// States of tokens.
pub(crate) struct States {
    /// `[batch, 1 + rows * columns, dim]` each; the first token stands for the image.
    pub(crate) layers: Vec<Tensor>,
    /// Rows and columns of patches.
    pub(crate) grid: [usize; 2],
}

impl Backbone {
    /// Reads a `backbone_config`.
    pub(crate) fn load(weights: &Weights, config: &Value) -> Result<Self, WeightsError> {
        let kind = config["model_type"].as_str().unwrap_or_default();
        if !["dinov2", "beit"].contains(&kind) {
            return Err(wrong(format!("`backbone_config.model_type` is `{kind}`, not dinov2 or beit")));
        }
        if config["add_fpn"] == Value::Bool(true) {
            return Err(wrong("`backbone_config.add_fpn` is true, which is not supported"));
        }
        if config["reshape_hidden_states"] == Value::Bool(true) {
            // The readout token would be gone.
            return Err(wrong("`backbone_config.reshape_hidden_states` is true"));
        }
        let (shape, names) = VitConfig::of(config)?;
        Ok(Self {
            vit: Vit::load(weights, &shape, &names)?,
            stages: out_stages(config, shape.depth)?,
            normalised: kind == "dinov2" && config["apply_layernorm"].as_bool().unwrap_or(true),
            dim: shape.dim,
            patch: shape.patch,
        })
    }

    /// How many states it gives.
    pub(crate) fn stages(&self) -> usize {
        self.stages.len()
    }

    /// Images `[batch, 3, height, width]` to states.
    pub(crate) fn forward(&self, pixel_values: &Tensor) -> Result<States> {
        let (_, _, height, width) = pixel_values.dims4()?;
        let mut layers = self.vit.layers(pixel_values, &self.stages)?;
        if self.normalised {
            layers = layers.iter().map(|states| self.vit.normalise(states)).collect::<Result<_>>()?;
        }
        Ok(States { layers, grid: self.vit.grid([height, width]) })
    }
}
