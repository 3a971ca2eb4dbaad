//! The transformer of the mask decoder, in which tokens and image look at each other (`SamTwoWayTransformer`).

use percept_backbone::{
    AttentionNames, FewTokens, LayerNorm, Linear, Mlp, Result, Seen, SourcedAttention, Tensor, Weights,
    WeightsError, add_to_each, two_way,
};

use super::config::{DecoderShape, Family};

/// Of the norm behind the last attention, which no configuration states.
const LAST_EPS: f64 = 1e-5;

#[derive(Debug)]
pub(crate) struct TwoWay {
    /// The first attention of tokens to an image, which no token has changed yet.
    first: SourcedAttention,
    layers: Vec<Layer>,
    last: FewTokens,
    last_norm: LayerNorm,
}

#[derive(Debug)]
struct Layer {
    itself: SourcedAttention,
    to_image: FewTokens,
    from_image: FewTokens,
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
        let first = layers.at("0").at("cross_attn_token_to_image");
        let last = weights.at("final_attn_token_to_image");
        let dims = [shape.dim, shape.inner];
        let layers = (0..shape.layers).map(|layer| Layer::load(&layers.at(layer.to_string()), shape));
        Ok(Self {
            first: SourcedAttention::load(&first, names(shape), dims, shape.heads)?,
            layers: layers.collect::<Result<_, _>>()?,
            last: FewTokens::load(&last, names(shape), dims, shape.heads)?,
            last_norm: LayerNorm::load(&weights.at("layer_norm_final_attn"), shape.dim, LAST_EPS)?,
        })
    }

    /// Of tokens `[prompts, tokens, dim]` and an image `[prompts or 1, cells, dim]` whose positions are `[1, cells,
    /// dim]`.
    pub(crate) fn forward(&self, marks: &Tensor, image: Tensor, positions: &Tensor) -> Result<State> {
        let mut state = State { tokens: marks.clone(), image };
        // The tokens that look at the image as it is, and what they see of it. The tokens of a layer can look before its
        // image is made: they do not depend on it.
        let tokens = self.layers[0].to_itself(marks, None)?;
        let placed = add_to_each(&state.image, positions)?;
        let mut seen = self.first.forward_onto(&(&tokens + marks)?, &placed, &state.image, &tokens)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let tokens = layer.after_image(&seen)?;
            let marked = (&tokens + marks)?;
            let (asking, next) = match self.layers.get(index + 1) {
                Some(next) => (&next.to_image, next.to_itself(&tokens, Some(marks))?),
                None => (&self.last, tokens.clone()),
            };
            let keys = Seen { attention: &layer.from_image, keys: &marked, values: &tokens };
            let asked = (asking, &(&next + marks)?);
            let looked = two_way(&state.image, positions, keys, &layer.norms[3], asked)?;
            seen = asking.answer(&looked, &next)?;
            state.image = looked.pixels;
        }
        Ok(State { tokens: self.last_norm.forward(&seen)?, image: state.image })
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
        let few = |name: &str| {
            FewTokens::load(&weights.at(name), names(shape), [shape.dim, shape.inner], shape.heads)
        };
        Ok(Self {
            itself: SourcedAttention::load(
                &weights.at("self_attn"),
                names(shape),
                [shape.dim, shape.dim],
                shape.heads,
            )?,
            to_image: few("cross_attn_token_to_image")?,
            from_image: few("cross_attn_image_to_token")?,
            mlp: Mlp::new(up, down, shape.activation),
            norms: [norm("layer_norm1")?, norm("layer_norm2")?, norm("layer_norm3")?, norm("layer_norm4")?],
        })
    }

    /// Tokens look at each other. `marks` are the tokens as they came in, which say again at each attention what each of
    /// them is; there are none for the first one, which sees nothing else.
    fn to_itself(&self, tokens: &Tensor, marks: Option<&Tensor>) -> Result<Tensor> {
        let tokens = match marks {
            None => self.itself.forward(tokens, tokens, tokens)?,
            Some(marks) => {
                let marked = (tokens + marks)?;
                self.itself.forward_onto(&marked, &marked, tokens, tokens)?
            }
        };
        self.norms[0].forward(&tokens)
    }

    /// What tokens make of what they have seen of the image.
    fn after_image(&self, tokens: &Tensor) -> Result<Tensor> {
        let tokens = self.norms[1].forward(tokens)?;
        self.norms[2].forward(&self.mlp.forward_onto(&tokens, &tokens)?)
    }
}

fn names(shape: &DecoderShape) -> AttentionNames {
    match shape.family {
        Family::Sam => AttentionNames::PROJ,
        Family::Sam2 => AttentionNames { output: "o_proj", ..AttentionNames::PROJ },
    }
}
