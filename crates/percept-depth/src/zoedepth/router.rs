//! Who chooses between domains: a Transformer over the smallest map (`ZoeDepthPatchTransformerEncoder`,
//! `ZoeDepthMLPClassifier`).

use percept_backbone::{
    Activation, Attention, AttentionNames, LayerNorm, Linear, Result, See, Tensor, ToContiguous, Weights,
    WeightsError, sine_waves,
};

use super::config::Router as Config;

/// From a map to logits of domains.
pub(super) struct Router {
    embed: Linear,
    layers: Vec<Layer>,
    classify: [Linear; 2],
    dim: usize,
}

/// A layer that normalises behind each part.
struct Layer {
    attention: Attention,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    mlp_norm: LayerNorm,
}

const NAMES: AttentionNames =
    AttentionNames { query: "query", key: "key", value: "value", output: "out_proj" };

impl Router {
    /// Loads the parts of `metric_head`, for maps of `width` channels.
    pub(super) fn load(weights: &Weights, width: usize, config: Config) -> Result<Self, WeightsError> {
        /// However many the configuration names, the reference runs these.
        const LAYERS: usize = 4;
        const EPS: f64 = 1e-5;
        let Config { dim, hidden, heads } = config;
        let transformer = weights.at("patch_transformer");
        let layer = |index: usize| {
            let weights = transformer.at(format!("transformer_encoder.{index}"));
            Ok(Layer {
                attention: Attention::load(&weights.at("self_attn"), NAMES, dim, heads)?,
                attention_norm: LayerNorm::load(&weights.at("norm1"), dim, EPS)?,
                up: Linear::load(&weights.at("linear1"), dim, hidden)?,
                down: Linear::load(&weights.at("linear2"), hidden, dim)?,
                mlp_norm: LayerNorm::load(&weights.at("norm2"), dim, EPS)?,
            })
        };
        let classify = weights.at("mlp_classifier");
        Ok(Self {
            embed: Linear::load_pointwise(&transformer.at("embedding_convPxP"), width, dim)?,
            layers: (0..LAYERS).map(layer).collect::<Result<_, WeightsError>>()?,
            classify: [
                Linear::load(&classify.at("linear1"), dim, dim)?,
                Linear::load(&classify.at("linear2"), dim, 2)?,
            ],
            dim,
        })
    }

    /// `[batch, width, rows, columns]` to `[batch, 2]`.
    pub(super) fn logits(&self, map: &Tensor) -> Result<Tensor> {
        let pixels = map.flatten_from(2)?.transpose(1, 2)?.to_contiguous()?;
        let tokens = self.embed.forward(&pixels)?;
        // A token of zeros gathers what the others say.
        let tokens = tokens.pad_with_zeros(1, 1, 0)?;
        let mut x = tokens.broadcast_add(&self.positions(&tokens)?)?;
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        let first = x.narrow(1, 0, 1)?.squeeze(1)?.to_contiguous()?;
        let [hidden, last] = &self.classify;
        last.forward(&hidden.forward_activated(&first, Activation::Relu)?)
    }

    /// `[1, tokens, dim]`: sines in the first half of the channels, cosines in the second.
    fn positions(&self, tokens: &Tensor) -> Result<Tensor> {
        const LONGEST: f32 = 10_000.0;
        let count = tokens.dim(1)?;
        let mut values: Vec<f32> = Vec::with_capacity(count * self.dim);
        for place in 0..count {
            let waves: Vec<f32> = sine_waves(place as f32, self.dim, LONGEST).collect();
            values.extend(waves.iter().step_by(2));
            values.extend(waves.iter().skip(1).step_by(2));
        }
        Tensor::from_vec(values, (1, count, self.dim), tokens.device())
    }
}

impl Layer {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.attention_norm.forward(&self.attention.over_itself(x, See::All, x)?)?;
        let hidden = self.up.forward_activated(&x, Activation::Relu)?;
        self.mlp_norm.forward(&self.down.forward_onto(&hidden, &x)?)
    }
}
