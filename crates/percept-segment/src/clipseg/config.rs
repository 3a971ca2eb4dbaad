//! The numbers of a CLIPSeg, and how a `config.json` states them.

use percept_backbone::WeightsError;
use percept_backbone::clip_text::ClipTextConfig;
use percept_backbone::vit::{VitConfig, VitNames};
use serde::Deserialize;
use serde_json::Value;

/// What differs between CLIPSegs in numbers.
pub(super) struct Shape {
    pub(super) vision: VitConfig,
    pub(super) vision_names: VitNames,
    pub(super) text: ClipTextConfig,
    /// Channels of what texts become.
    pub(super) condition: usize,
    pub(super) decoder: DecoderShape,
}

/// The decoder's part.
#[derive(Deserialize)]
#[serde(default)]
pub(super) struct DecoderShape {
    /// Layers of the image encoder whose states it sees, from 0.
    pub(super) extract_layers: Vec<usize>,
    /// Channels.
    #[serde(rename = "reduce_dim")]
    pub(super) dim: usize,
    #[serde(rename = "decoder_num_attention_heads")]
    pub(super) heads: usize,
    #[serde(rename = "decoder_intermediate_size")]
    pub(super) hidden: usize,
    /// Before which layer the text comes in.
    pub(super) conditional_layer: usize,
    /// Whether three convolutions, not one, make pixels of patches.
    #[serde(rename = "use_complex_transposed_convolution")]
    pub(super) is_complex: bool,
    projection_dim: usize,
}

/// transformers' `CLIPSegConfig`.
impl Default for DecoderShape {
    fn default() -> Self {
        Self {
            extract_layers: vec![3, 6, 9],
            dim: 64,
            heads: 4,
            hidden: 2048,
            conditional_layer: 0,
            is_complex: false,
            projection_dim: 512,
        }
    }
}

impl Shape {
    pub(super) fn of(config: &Value) -> Result<Self, WeightsError> {
        let wrong = |reason: String| WeightsError::Format(format!("config.json: {reason}"));
        let decoder = DecoderShape::deserialize(config).map_err(|error| wrong(error.to_string()))?;
        let (vision, vision_names) = VitConfig::of_vision(config, "clipseg_vision_model")?;
        let depth = vision.depth;
        let DecoderShape { extract_layers, conditional_layer, .. } = &decoder;
        if extract_layers.is_empty() || extract_layers.iter().any(|layer| *layer >= depth) {
            return Err(wrong(format!("`extract_layers` is {extract_layers:?} of {depth} layers")));
        }
        if *conditional_layer >= extract_layers.len() {
            return Err(wrong(format!(
                "`conditional_layer` is {conditional_layer} of {}",
                extract_layers.len()
            )));
        }
        let text = ClipTextConfig::of(&config["text_config"])?;
        Ok(Self { vision, vision_names, text, condition: decoder.projection_dim, decoder })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_stated_is_the_references_default() {
        let shape = Shape::of(&json!({})).unwrap();
        assert_eq!(
            (shape.vision.dim, shape.vision.patch, shape.text.dim, shape.condition),
            (768, 32, 512, 512)
        );
        assert_eq!((shape.decoder.extract_layers, shape.decoder.dim), (vec![3, 6, 9], 64));
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for wrong in [
            json!({"extract_layers": []}),
            json!({"extract_layers": [3, 12]}),
            json!({"conditional_layer": 3}),
            json!({"reduce_dim": "large"}),
            json!({"vision_config": {"hidden_act": "mish"}}),
        ] {
            assert!(Shape::of(&wrong).is_err(), "{wrong}");
        }
    }
}
