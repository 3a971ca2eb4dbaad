//! Transformers of two clouds' points that look at their own cloud, knowing how its points lie, and at the other one
//! (arXiv 2202.06688, section 3.2; `RPETransformerLayer`, `TransformerLayer`, `RPEConditionalTransformer`,
//! `GeometricTransformer`).

use percept_backbone::{
    Activation, AttentionNames, Block, BlockNames, BlockShape, CrossAttention, LayerNorm, Linear, Mlp,
    Result, Tensor, ToContiguous, Weights, WeightsError,
};

use super::embedding::{EmbeddingShape, GeometricEmbedding, Structure};

/// PyTorch's default.
const EPS: f64 = 1e-5;
/// Within a layer's `attention`.
const MATRICES: AttentionNames = AttentionNames {
    query: "attention.proj_q",
    key: "attention.proj_k",
    value: "attention.proj_v",
    output: "linear",
};

/// What the points of a layer look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Their own cloud.
    Own,
    /// The other cloud.
    Other,
}

/// A layer over a cloud's own points: `softmax((q k + q p) / sqrt(d)) v`, where `p` is a projection of the pair's embedding.
///
/// `q_h p_h = (P_h^T q_h) e + q_h b_h`. The last part is the same for all keys of a query, so that softmax does not see it,
/// and the first is a product of the embedding itself with a vector of each head, which is a linear map of the layer's input:
/// neither `P` nor `b` ever meets a pair.
#[derive(Clone, Debug)]
struct OwnLayer {
    /// `[.., dim]` to `[.., heads * dim]`, with the scale.
    onto_embedding: Linear,
    heads: usize,
    block: Block,
}

/// A layer over the other cloud's points.
#[derive(Clone, Debug)]
struct OtherLayer {
    attention: CrossAttention,
    norm: LayerNorm,
    mlp: Mlp,
    mlp_norm: LayerNorm,
}

#[derive(Clone, Debug)]
enum Layer {
    Own(Box<OwnLayer>),
    Other(Box<OtherLayer>),
}

/// Layers one after the other, each with a cloud's own or with the other's points; the same weights serve both clouds.
#[derive(Clone, Debug)]
pub(crate) struct Alternating {
    layers: Vec<Layer>,
}

impl OwnLayer {
    fn load(weights: &Weights, dim: usize, heads: usize) -> Result<Self, WeightsError> {
        let names = BlockNames {
            attention: "attention",
            attention_norm: "attention.norm",
            cross: None,
            up: "output.expand",
            down: "output.squeeze",
            gate: None,
            mlp_norm: "output.norm",
            scales: None,
            matrices: MATRICES,
        };
        let shape = BlockShape { dim, heads, hidden: 2 * dim, activation: Activation::Relu, eps: EPS };
        let block = Block::load(weights, names, shape)?.normalising_after();
        let attention = weights.at("attention.attention");
        let get = |name: &str, shape: &[usize]| attention.get(name, shape);
        let (query, bias) = (get("proj_q.weight", &[dim, dim])?, get("proj_q.bias", &[dim])?);
        let positions = get("proj_p.weight", &[dim, dim])?;
        let fold = || {
            let width = dim / heads;
            let scale = (width as f64).powf(-0.5);
            let (mut matrices, mut biases) = (Vec::new(), Vec::new());
            for head in 0..heads {
                let part = |matrix: &Tensor| matrix.narrow(0, head * width, width);
                let turned = (part(&positions)?.t()?.to_contiguous()? * scale)?;
                matrices.push(turned.matmul(&part(&query)?)?);
                biases.push(turned.matmul(&part(&bias)?.reshape((width, 1))?)?.reshape(dim)?);
            }
            Linear::new(&Tensor::cat(&matrices, 0)?, Some(Tensor::cat(&biases, 0)?), weights.precision())
        };
        Ok(Self { onto_embedding: fold().map_err(WeightsError::Engine)?, heads, block })
    }

    /// `[1, points, dim]` to the same.
    fn forward(&self, x: &Tensor, structure: &Structure<'_>) -> Result<Tensor> {
        let (_, points, dim) = x.dims3()?;
        let vectors = self.onto_embedding.forward(x)?.reshape((points, self.heads, dim))?;
        self.block.forward_biased(x, &structure.products(&vectors)?)
    }
}

impl OtherLayer {
    fn load(weights: &Weights, dim: usize, heads: usize) -> Result<Self, WeightsError> {
        let up = Linear::load(&weights.at("output.expand"), dim, 2 * dim)?;
        let down = Linear::load(&weights.at("output.squeeze"), 2 * dim, dim)?;
        Ok(Self {
            attention: CrossAttention::load(&weights.at("attention"), MATRICES, dim, heads)?,
            norm: LayerNorm::load(&weights.at("attention.norm"), dim, EPS)?,
            mlp: Mlp::new(up, down, Activation::Relu),
            mlp_norm: LayerNorm::load(&weights.at("output.norm"), dim, EPS)?,
        })
    }

    /// `[1, points, dim]` with the other's `[1, points, dim]`.
    fn forward(&self, x: &Tensor, other: &Tensor) -> Result<Tensor> {
        let memory = self.attention.remember(other)?;
        let x = self.norm.forward(&self.attention.over_memory(x, &memory, x)?)?;
        self.mlp_norm.forward(&self.mlp.forward_onto(&x, &x)?)
    }
}

impl Alternating {
    /// Loads `layers.N` over `dim` channels in `heads` heads.
    pub(crate) fn load(
        weights: &Weights,
        looks: &[Look],
        dim: usize,
        heads: usize,
    ) -> Result<Self, WeightsError> {
        if heads == 0 || !dim.is_multiple_of(heads) {
            return Err(WeightsError::Format(format!("{dim} channels do not divide into {heads} heads")));
        }
        let layer = |(at, look): (usize, &Look)| {
            let weights = weights.at(format!("layers.{at}"));
            Ok(match look {
                Look::Own => Layer::Own(Box::new(OwnLayer::load(&weights, dim, heads)?)),
                Look::Other => Layer::Other(Box::new(OtherLayer::load(&weights, dim, heads)?)),
            })
        };
        Ok(Self { layers: looks.iter().enumerate().map(layer).collect::<Result<_, WeightsError>>()? })
    }

    /// Two clouds' features, `[1, points, dim]` each, to the same. The first looks at the second before that looks at what
    /// has become of the first, as in the authors' code.
    pub(crate) fn forward(
        &self,
        [first, second]: [&Tensor; 2],
        structures: [&Structure<'_>; 2],
    ) -> Result<[Tensor; 2]> {
        let (mut first, mut second) = (first.clone(), second.clone());
        for layer in &self.layers {
            match layer {
                Layer::Own(layer) => {
                    first = layer.forward(&first, structures[0])?;
                    second = layer.forward(&second, structures[1])?;
                }
                Layer::Other(layer) => {
                    first = layer.forward(&first, &second)?;
                    second = layer.forward(&second, &first)?;
                }
            }
        }
        Ok([first, second])
    }
}

/// The numbers of a geometric transformer.
#[derive(Clone, Debug)]
pub(crate) struct TransformerShape {
    /// Channels of what goes in, and of what comes out; inside it has those of the embedding.
    pub(crate) input: usize,
    pub(crate) output: usize,
    pub(crate) heads: usize,
    pub(crate) looks: Vec<Look>,
    pub(crate) embedding: EmbeddingShape,
}

/// Embedding, projection in, layers, projection out.
#[derive(Clone, Debug)]
pub(crate) struct GeometricTransformer {
    embedding: GeometricEmbedding,
    in_proj: Linear,
    layers: Alternating,
    out_proj: Linear,
}

impl GeometricTransformer {
    /// Loads `embedding`, `in_proj`, `transformer` and `out_proj`.
    pub(crate) fn load(weights: &Weights, shape: &TransformerShape) -> Result<Self, WeightsError> {
        let hidden = shape.embedding.hidden;
        Ok(Self {
            embedding: GeometricEmbedding::load(&weights.at("embedding"), shape.embedding)?,
            in_proj: Linear::load(&weights.at("in_proj"), shape.input, hidden)?,
            layers: Alternating::load(&weights.at("transformer"), &shape.looks, hidden, shape.heads)?,
            out_proj: Linear::load(&weights.at("out_proj"), hidden, shape.output)?,
        })
    }

    /// Of two clouds' points and their features `[points, input]`: `[points, output]` of each.
    pub(crate) fn forward(&self, points: [&[[f32; 3]]; 2], features: [&Tensor; 2]) -> Result<[Tensor; 2]> {
        let structures = [self.embedding.of(points[0])?, self.embedding.of(points[1])?];
        let inside = |features: &Tensor| self.in_proj.forward(features)?.unsqueeze(0);
        let [first, second] = [inside(features[0])?, inside(features[1])?];
        let [first, second] = self.layers.forward([&first, &second], [&structures[0], &structures[1]])?;
        Ok([self.out_proj.forward(&first.squeeze(0)?)?, self.out_proj.forward(&second.squeeze(0)?)?])
    }
}
