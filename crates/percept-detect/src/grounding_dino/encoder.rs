//! Pixels and tokens that look at each other (`GroundingDinoEncoder`).

use percept_backbone::{
    AttentionNames, FewTokens, LayerNorm, Linear, Mlp, MultiScaleAttention, Result, SourcedAttention, Tensor,
    Weights, WeightsError, both_ways, sine_waves,
};

use super::config::Shape;
use super::features::Features;

/// `GroundingDinoMultiheadAttention`.
pub(super) const NAMES: AttentionNames =
    AttentionNames { query: "query", key: "key", value: "value", output: "out_proj" };

#[derive(Debug)]
pub(super) struct Encoder {
    layers: Vec<Layer>,
    dim: usize,
}

#[derive(Debug)]
struct Layer {
    fusion: Fusion,
    words: SourcedAttention,
    words_norm: LayerNorm,
    words_mlp: Mlp,
    words_mlp_norm: LayerNorm,
    pixels: MultiScaleAttention,
    pixels_norm: LayerNorm,
    pixels_mlp: Mlp,
    pixels_mlp_norm: LayerNorm,
}

/// Attention both ways at once (`GroundingDinoFusionLayer`). The reference cuts scores off at 50,000 below the best; here
/// nothing is.
#[derive(Debug)]
struct Fusion {
    pixels_norm: LayerNorm,
    words_norm: LayerNorm,
    /// Of pixels at tokens, and of tokens at pixels.
    looking: FewTokens,
    asking: FewTokens,
}

impl Encoder {
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let layer = |index: usize| Layer::load(&weights.at(format!("layers.{index}")), shape);
        let layers = (0..shape.encoder_layers).map(layer).collect::<Result<_, _>>()?;
        Ok(Self { layers, dim: shape.dim })
    }

    /// Pixels `[batch, pixels, dim]` and the tokens of one line `[1, tokens, dim]`, at their positions and with the `bias` of
    /// their attention, to the same of both.
    pub(super) fn forward(
        &self,
        features: &Features,
        words: &Tensor,
        positions: &[u32],
        bias: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let (batch, _, dim) = features.pixels.dims3()?;
        let places = features.places.broadcast_as(features.pixels.shape())?;
        let marks: Vec<f32> = positions.iter().flat_map(|at| self.position(*at)).collect();
        let marks = Tensor::from_vec(marks, (1, positions.len(), dim), words.device())?;
        let marks = marks.broadcast_as((batch, positions.len(), dim))?;
        let mut words = words.broadcast_as((batch, positions.len(), dim))?.contiguous()?;
        let mut pixels = features.pixels.clone();
        let centres = centres(&features.sizes, pixels.device())?;
        for layer in &self.layers {
            (pixels, words) = layer.fusion.forward(&pixels, &words)?;
            words = layer.enhance(&words, &marks, bias)?;
            pixels = layer.mix(&pixels, &places, &centres, &features.sizes)?;
        }
        Ok((pixels, words))
    }

    fn position(&self, at: u32) -> impl Iterator<Item = f32> + use<> {
        sine_waves(at as f32 * std::f32::consts::TAU, self.dim, 10_000.0)
    }
}

/// The middle of every pixel of all maps, `[1, pixels, 2]`.
fn centres(sizes: &[[usize; 2]], device: &percept_backbone::Device) -> Result<Tensor> {
    let mut values = Vec::new();
    for &[rows, columns] in sizes {
        let middle = |at: usize, length: usize| (at as f32 + 0.5) / length as f32;
        for row in 0..rows {
            values.extend((0..columns).flat_map(|column| [middle(column, columns), middle(row, rows)]));
        }
    }
    let count = values.len() / 2;
    Tensor::from_vec(values, (1, count, 2), device)
}

impl Layer {
    fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let &Shape { dim, encoder_heads, encoder_inner, eps, activation, .. } = shape;
        let mlp = |weights: &Weights, inner| {
            let up = Linear::load(&weights.at("fc1"), dim, inner)?;
            Ok::<_, WeightsError>(Mlp::new(up, Linear::load(&weights.at("fc2"), inner, dim)?, activation))
        };
        let (words, pixels) = (weights.at("text_enhancer_layer"), weights.at("deformable_layer"));
        let read = [shape.backbone.stages.len() + 1, shape.encoder_points];
        let attention = words.at("self_attn");
        Ok(Self {
            fusion: Fusion::load(&weights.at("fusion_layer"), shape)?,
            words: SourcedAttention::load(&attention, NAMES, [dim, dim], encoder_heads / 2)?,
            words_norm: LayerNorm::load(&words.at("layer_norm_before"), dim, eps)?,
            words_mlp: mlp(&words, encoder_inner / 2)?,
            words_mlp_norm: LayerNorm::load(&words.at("layer_norm_after"), dim, eps)?,
            pixels: MultiScaleAttention::load(&pixels.at("self_attn"), dim, encoder_heads, read)?,
            pixels_norm: LayerNorm::load(&pixels.at("self_attn_layer_norm"), dim, eps)?,
            pixels_mlp: mlp(&pixels, encoder_inner)?,
            pixels_mlp_norm: LayerNorm::load(&pixels.at("final_layer_norm"), dim, eps)?,
        })
    }

    /// Tokens look at their phrase.
    fn enhance(&self, words: &Tensor, marks: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let marked = (words + marks)?;
        let words = self.words.forward_biased_onto(&marked, &marked, words, bias, words)?;
        let words = self.words_norm.forward(&words)?;
        self.words_mlp_norm.forward(&self.words_mlp.forward_onto(&words, &words)?)
    }

    /// Pixels look at each other.
    fn mix(
        &self,
        pixels: &Tensor,
        places: &Tensor,
        centres: &Tensor,
        sizes: &[[usize; 2]],
    ) -> Result<Tensor> {
        let mixed = self.pixels.forward_onto(&(pixels + places)?, centres, pixels, sizes, pixels)?;
        let pixels = self.pixels_norm.forward(&mixed)?;
        self.pixels_mlp_norm.forward(&self.pixels_mlp.forward_onto(&pixels, &pixels)?)
    }
}

impl Fusion {
    fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        const LOOKING: AttentionNames = AttentionNames {
            query: "vision_proj",
            key: "text_proj",
            value: "values_text_proj",
            output: "out_vision_proj",
        };
        const ASKING: AttentionNames = AttentionNames {
            query: "text_proj",
            key: "vision_proj",
            value: "values_vision_proj",
            output: "out_text_proj",
        };
        let &Shape { dim, eps, .. } = shape;
        let (heads, inner) = (shape.encoder_heads / 2, shape.encoder_inner / 2);
        let attention = |names, scale: &str| {
            let attention = FewTokens::load(&weights.at("attn"), names, [dim, inner], heads)?;
            attention.scaled_by(&weights.get(scale, &[dim])?).map_err(WeightsError::Engine)
        };
        Ok(Self {
            pixels_norm: LayerNorm::load(&weights.at("layer_norm_vision"), dim, eps)?,
            words_norm: LayerNorm::load(&weights.at("layer_norm_text"), dim, eps)?,
            looking: attention(LOOKING, "vision_param")?,
            asking: attention(ASKING, "text_param")?,
        })
    }

    fn forward(&self, pixels: &Tensor, words: &Tensor) -> Result<(Tensor, Tensor)> {
        // What is normalised takes the place of what was given, in the sum too.
        let (pixels, words) = (self.pixels_norm.forward(pixels)?, self.words_norm.forward(words)?);
        let looked = both_ways(&pixels, &words, &self.looking)?;
        let words = self.asking.answer(&looked, &words)?;
        Ok((looked.pixels, words))
    }
}
