//! SAM's image encoder: a Vision Transformer with windows, and its neck.

use percept_backbone::vit::{Neck, Vit, VitConfig};
use percept_backbone::{Result, Tensor, Weights, WeightsError};
use serde_json::Value;

use super::config::{count, wrong};
use super::decoder::ImageEmbedding;

#[derive(Debug)]
pub(crate) struct SamEncoder {
    vit: Vit,
    neck: Neck,
}

impl SamEncoder {
    /// Reads `vision_config`; `dim` are the channels that the decoder wants.
    pub(crate) fn load(weights: &Weights, config: &Value, dim: usize) -> Result<Self, WeightsError> {
        // Older checkpoints leave the part's own type empty.
        let mut config = config.clone();
        if let Some(config) = config.as_object_mut() {
            config.insert("model_type".into(), "sam_vision_model".into());
        }
        let (vit, names) = VitConfig::of(&config)?;
        if count(&config, "output_channels", 256)? != dim {
            return Err(wrong("the image encoder gives other channels than the mask decoder takes"));
        }
        let neck = Neck::load(&weights.at("neck"), vit.dim, dim)?;
        Ok(Self { vit: Vit::load(weights, &vit, &names)?, neck })
    }

    /// `[1, 3, canvas, canvas]` to the decoder's input and the map that it is made of, `[1, grid, grid, dim]`.
    pub(crate) fn forward(&self, pixels: &Tensor) -> Result<(ImageEmbedding, Vec<Tensor>)> {
        let (_, _, height, width) = pixels.dims4()?;
        let map = self.neck.forward(&self.vit.tokens(pixels)?, self.vit.grid([height, width]))?;
        Ok((ImageEmbedding { cells: map.flatten(1, 2)?, details: None }, vec![map]))
    }
}
