//! The transformer of the mask decoder, in which tokens and image look at each other (`SamTwoWayTransformer`).

use percept_backbone::{
    AttentionNames, LayerNorm, Linear, Mlp, Result, SourcedAttention, Tensor, Weights, WeightsError,
    add_to_each,
};

use super::config::{DecoderShape, Family};

/// Of the norm behind the last attention, which no configuration states.
const LAST_EPS: f64 = 1e-5;

#[derive(Debug)]
pub(crate) struct TwoWay {
    layers: Vec<Layer>,
    last: SourcedAttention,
    last_norm: LayerNorm,
}

#[derive(Debug)]
struct Layer {
    itself: SourcedAttention,
    to_image: SourcedAttention,
    from_image: SourcedAttention,
    mlp: Mlp,
    norms: [LayerNorm; 4],
}

/// Tokens `[prompts, tokens, dim]` and image `[prompts or 1, cells, dim]` between two layers.
pub(crate) struct State {
    pub(crate) tokens: Tensor,
    pub(crate) image: Tensor,
}

impl TwoWay {
    pub(crate) fn load(weights: &Weights, shape: &DecoderShape) -> Result<Self, WeightsError> {
        let layers = weights.at("layers");
        let layers = (0..shape.layers).map(|layer| Layer::load(&layers.at(layer.to_string()), shape));
        Ok(Self {
            layers: layers.collect::<Result<_, _>>()?,
            last: attention(weights, "final_attn_token_to_image", shape, shape.inner)?,
            last_norm: LayerNorm::load(&weights.at("layer_norm_final_attn"), shape.dim, LAST_EPS)?,
        })
    }

    /// Of tokens `[prompts, tokens, dim]` and an image `[prompts or 1, cells, dim]` whose positions are `[1, cells,
    /// dim]`. What does not depend on the prompt is computed once for all of them.
    pub(crate) fn forward(&self, tokens: &Tensor, image: Tensor, positions: &Tensor) -> Result<State> {
        let mut state = State { tokens: tokens.clone(), image };
        for (index, layer) in self.layers.iter().enumerate() {
            state = layer.forward(&state, tokens, positions, index == 0)?;
        }
        let queries = (&state.tokens + tokens)?;
        let keys = add_to_each(&state.image, positions)?;
        let attended = self.last.forward_onto(&queries, &keys, &state.image, &state.tokens)?;
        Ok(State { tokens: self.last_norm.forward(&attended)?, image: state.image })
    }
}

impl Layer {
    fn load(weights: &Weights, shape: &DecoderShape) -> Result<Self, WeightsError> {
        let (up, down) = match shape.family {
            Family::Sam => ("mlp.lin1", "mlp.lin2"),
            Family::Sam2 => ("mlp.proj_in", "mlp.proj_out"),
        };
        let up = Linear::load(&weights.at(up), shape.dim, shape.hidden)?;
        let down = Linear::load(&weights.at(down), shape.hidden, shape.dim)?;
        let norm = |name: &str| LayerNorm::load(&weights.at(name), shape.dim, shape.eps);
        Ok(Self {
            itself: attention(weights, "self_attn", shape, shape.dim)?,
            to_image: attention(weights, "cross_attn_token_to_image", shape, shape.inner)?,
            from_image: attention(weights, "cross_attn_image_to_token", shape, shape.inner)?,
            mlp: Mlp::new(up, down, shape.activation),
            norms: [norm("layer_norm1")?, norm("layer_norm2")?, norm("layer_norm3")?, norm("layer_norm4")?],
        })
    }

    /// `marks` are the tokens as they came in, which say again at each attention what each of them is; not at the first
    /// one of the first layer, which sees nothing else.
    fn forward(&self, state: &State, marks: &Tensor, positions: &Tensor, first: bool) -> Result<State> {
        let [norm1, norm2, norm3, norm4] = &self.norms;
        let State { tokens, image } = state;
        let tokens = if first {
            self.itself.forward(tokens, tokens, tokens)?
        } else {
            let marked = (tokens + marks)?;
            self.itself.forward_onto(&marked, &marked, tokens, tokens)?
        };
        let tokens = norm1.forward(&tokens)?;

        let placed = add_to_each(image, positions)?;
        let tokens = self.to_image.forward_onto(&(&tokens + marks)?, &placed, image, &tokens)?;
        let tokens = norm2.forward(&tokens)?;
        let tokens = norm3.forward(&self.mlp.forward_onto(&tokens, &tokens)?)?;

        let marked = (&tokens + marks)?;
        let seen = self.from_image.forward(&placed, &marked, &tokens)?;
        let image = norm4.forward(&add_to_each(&seen, image)?)?;
        Ok(State { tokens, image })
    }
}

fn attention(
    weights: &Weights,
    name: &str,
    shape: &DecoderShape,
    inner: usize,
) -> Result<SourcedAttention, WeightsError> {
    let names = match shape.family {
        Family::Sam => AttentionNames::PROJ,
        Family::Sam2 => AttentionNames { output: "o_proj", ..AttentionNames::PROJ },
    };
    SourcedAttention::load(&weights.at(name), names, [shape.dim, inner], shape.heads)
}
