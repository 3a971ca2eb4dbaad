//! The decoder: a few narrow layers over the states of the image encoder, the deepest first. A text comes in as one
//! factor and one summand for each channel (FiLM, Perez et al. 2018, arXiv 1709.07871).

use percept_backbone::{
    Activation, Attention, AttentionNames, Conv2d, ConvShape, ConvTransposeShape, LayerNorm, Linear, Mlp,
    Result, See, Tensor, ToContiguous, Weights, WeightsError,
};

use super::config::Shape;
use super::network::Seen;

pub(super) struct Decoder {
    /// To the decoder's channels, and a layer, for each of the states.
    layers: Vec<(Linear, Layer)>,
    conditional_layer: usize,
    factor: Linear,
    summand: Linear,
    pixels: Vec<Conv2d>,
}

impl Decoder {
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let (condition, dim) = (shape.condition, shape.decoder.dim);
        let layer = |index: usize| {
            let reduce = Linear::load(&weights.at(format!("reduces.{index}")), shape.vision.dim, dim)?;
            Ok((reduce, Layer::load(&weights.at(format!("layers.{index}")), shape)?))
        };
        Ok(Self {
            layers: (0..shape.decoder.extract_layers.len())
                .map(layer)
                .collect::<Result<_, WeightsError>>()?,
            conditional_layer: shape.decoder.conditional_layer,
            factor: Linear::load(&weights.at("film_mul"), condition, dim)?,
            summand: Linear::load(&weights.at("film_add"), condition, dim)?,
            pixels: pixels(&weights.at("transposed_convolution"), shape)?,
        })
    }

    /// What was seen and texts `[texts, channels]` to `[texts, height, width]`.
    pub(super) fn forward(&self, seen: &Seen, texts: &Tensor) -> Result<Tensor> {
        // `[1, tokens, dim]` until texts come in, `[texts, tokens, dim]` from there.
        let mut x: Option<Tensor> = None;
        for (index, ((reduce, layer), state)) in
            self.layers.iter().zip(seen.activations.iter().rev()).enumerate()
        {
            let reduced = reduce.forward(state)?;
            let mut sum = match x {
                Some(x) => x.broadcast_add(&reduced)?,
                None => reduced,
            };
            if index == self.conditional_layer {
                let (factor, summand) = (self.factor.forward(texts)?, self.summand.forward(texts)?);
                sum = sum.broadcast_mul(&factor.unsqueeze(1)?)?.broadcast_add(&summand.unsqueeze(1)?)?;
            }
            x = Some(layer.forward(&sum)?);
        }
        let Some(x) = x else {
            return Err(percept_backbone::EngineError::Msg("no state to decode".into()));
        };
        // Without the class token.
        let (texts, tokens, dim) = x.dims3()?;
        let [rows, columns] = seen.grid;
        let patches = x.narrow(1, 1, tokens - 1)?.transpose(1, 2)?.to_contiguous()?;
        let mut maps = patches.reshape((texts, dim, rows, columns))?;
        for (index, convolution) in self.pixels.iter().enumerate() {
            maps = match index + 1 < self.pixels.len() {
                true => convolution.forward_activated(&maps, Activation::Relu)?,
                false => convolution.forward(&maps)?,
            };
        }
        maps.squeeze(1)
    }
}

/// What makes pixels of patches: one convolution, or three.
fn pixels(weights: &Weights, shape: &Shape) -> Result<Vec<Conv2d>, WeightsError> {
    let (dim, patch) = (shape.decoder.dim, shape.vision.patch);
    let up =
        |out: usize, input: usize, side: usize| ConvTransposeShape::square(out, input, side).stride(side);
    if !shape.decoder.is_complex {
        return Ok(vec![Conv2d::load_transposed(weights, up(1, dim, patch))?]);
    }
    Ok(vec![
        Conv2d::load(&weights.at("0"), ConvShape::square(dim, dim, 3).padding(1))?,
        Conv2d::load_transposed(&weights.at("2"), up(dim / 2, dim, patch / 4))?,
        Conv2d::load_transposed(&weights.at("4"), up(1, dim / 2, patch / 4))?,
    ])
}

/// A layer whose norms come after attention and MLP.
struct Layer {
    attention: Attention,
    attention_norm: LayerNorm,
    mlp: Mlp,
    mlp_norm: LayerNorm,
}

impl Layer {
    fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let (dim, heads, hidden) = (shape.decoder.dim, shape.decoder.heads, shape.decoder.hidden);
        let up = Linear::load(&weights.at("mlp.fc1"), dim, hidden)?;
        let down = Linear::load(&weights.at("mlp.fc2"), hidden, dim)?;
        Ok(Self {
            attention: Attention::load(&weights.at("self_attn"), AttentionNames::PROJ, dim, heads)?,
            attention_norm: LayerNorm::load(&weights.at("layer_norm1"), dim, shape.vision.eps)?,
            // Whatever `decoder_hidden_act` says, the reference takes this.
            mlp: Mlp::new(up, down, Activation::Relu),
            mlp_norm: LayerNorm::load(&weights.at("layer_norm2"), dim, shape.vision.eps)?,
        })
    }

    /// `[batch, tokens, dim]` to the same.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.attention_norm.forward(&self.attention.over_itself(x, See::All, x)?)?;
        self.mlp_norm.forward(&self.mlp.forward_onto(&x, &x)?)
    }
}
