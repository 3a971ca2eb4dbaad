//! Attention inside of one map (AIFI, `RTDetrAIFILayer`).

use percept_backbone::{
    AttentionNames, LayerNorm, Linear, Mlp, Result, SourcedAttention, Tensor, ToContiguous, Weights,
    WeightsError, add_to_each,
};

use super::config::EncoderShape;

/// Layers of a Transformer over the pixels of a map.
#[derive(Debug)]
pub(super) struct Aifi {
    layers: Vec<Layer>,
    temperature: Option<f64>,
}

#[derive(Debug)]
struct Layer {
    attention: SourcedAttention,
    attention_norm: LayerNorm,
    mlp: Mlp,
    mlp_norm: LayerNorm,
    pre_norm: bool,
}

impl Aifi {
    pub(super) fn load(weights: &Weights, shape: &EncoderShape) -> Result<Self, WeightsError> {
        let layers = weights.at("layers");
        let layer = |index: usize| Layer::load(&layers.at(index.to_string()), shape);
        Ok(Self {
            layers: (0..shape.layers).map(layer).collect::<Result<_, _>>()?,
            temperature: shape.temperature,
        })
    }

    /// `[batch, channels, rows, columns]` to the same.
    pub(super) fn forward(&self, map: &Tensor) -> Result<Tensor> {
        let (batch, channels, rows, columns) = map.dims4()?;
        let mut x = map.flatten_from(2)?.transpose(1, 2)?.to_contiguous()?;
        let waves = |temperature| positions([rows, columns], channels, temperature, &x);
        let positions = self.temperature.map(waves).transpose()?;
        for layer in &self.layers {
            x = layer.forward(&x, positions.as_ref())?;
        }
        x.transpose(1, 2)?.to_contiguous()?.reshape((batch, channels, rows, columns))
    }
}

impl Layer {
    fn load(weights: &Weights, shape: &EncoderShape) -> Result<Self, WeightsError> {
        let EncoderShape { dim, inner, .. } = *shape;
        let norm = |name: &str| LayerNorm::load(&weights.at(name), dim, shape.eps);
        let (up, down) = (weights.at("fc1"), weights.at("fc2"));
        let (up, down) = (Linear::load(&up, dim, inner)?, Linear::load(&down, inner, dim)?);
        let names = AttentionNames::PROJ;
        Ok(Self {
            attention: SourcedAttention::load(&weights.at("self_attn"), names, [dim; 2], shape.heads)?,
            attention_norm: norm("self_attn_layer_norm")?,
            mlp: Mlp::new(up, down, shape.activation),
            mlp_norm: norm("final_layer_norm")?,
            pre_norm: shape.pre_norm,
        })
    }

    /// Tokens `[batch, tokens, channels]` to the same; positions `[1, tokens, channels]` are seen by queries and keys.
    fn forward(&self, x: &Tensor, positions: Option<&Tensor>) -> Result<Tensor> {
        let normed = if self.pre_norm { self.attention_norm.forward(x)? } else { x.clone() };
        let placed = positions.map_or(Ok(normed.clone()), |positions| add_to_each(&normed, positions))?;
        let mixed = self.attention.forward_onto(&placed, &placed, &normed, x)?;
        if self.pre_norm {
            // What is normed is the residual too: so it is in the reference.
            let normed = self.mlp_norm.forward(&mixed)?;
            return self.mlp.forward_onto(&normed, &normed);
        }
        let normed = self.attention_norm.forward(&mixed)?;
        self.mlp_norm.forward(&self.mlp.forward_onto(&normed, &normed)?)
    }
}

/// Sines and cosines of rows, then of columns: `[1, rows * columns, channels]`, on the device of `like`.
fn positions(
    [rows, columns]: [usize; 2],
    channels: usize,
    temperature: f64,
    like: &Tensor,
) -> Result<Tensor> {
    let waves = channels / 4;
    let frequency = |wave: usize| temperature.powf(-(wave as f64 / waves as f64));
    let frequencies: Vec<f64> = (0..waves).map(frequency).collect();
    let mut values = Vec::with_capacity(rows * columns * channels);
    for pixel in 0..rows * columns {
        for at in [pixel / columns, pixel % columns] {
            let angle = |frequency: &f64| at as f64 * frequency;
            values.extend(frequencies.iter().map(|frequency| angle(frequency).sin() as f32));
            values.extend(frequencies.iter().map(|frequency| angle(frequency).cos() as f32));
        }
    }
    Tensor::from_vec(values, (1, rows * columns, channels), like.device())
}
