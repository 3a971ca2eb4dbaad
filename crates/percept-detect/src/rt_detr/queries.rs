//! What a layer of queries has in both decoders: attention among queries, and attention to points of the maps.

use percept_backbone::{
    AttentionNames, LayerNorm, Linear, Mlp, MultiScaleAttention, MultiScaleShape, Offsets, Result,
    SourcedAttention, Tensor, Weights, WeightsError,
};

use super::config::Shape;

#[derive(Debug)]
pub(crate) struct QueryLayer {
    attention: SourcedAttention,
    attention_norm: LayerNorm,
    pub(crate) points: MultiScaleAttention,
    pub(crate) mlp: Mlp,
    pub(crate) mlp_norm: LayerNorm,
}

impl QueryLayer {
    /// `projected` says whether attention to the maps has matrices of values and of its output.
    pub(crate) fn load(weights: &Weights, shape: &Shape, projected: bool) -> Result<Self, WeightsError> {
        let Shape { dim, heads, inner, .. } = *shape;
        let norm = |name: &str| LayerNorm::load(&weights.at(name), dim, shape.eps);
        let points = MultiScaleShape {
            dim,
            heads,
            points: &shape.points,
            sampling: shape.sampling,
            unit: Offsets::OfBoxes(shape.offset_scale),
            projected,
        };
        let up = Linear::load(&weights.at("fc1"), dim, inner)?;
        let down = Linear::load(&weights.at("fc2"), inner, dim)?;
        let names = AttentionNames::PROJ;
        Ok(Self {
            attention: SourcedAttention::load(&weights.at("self_attn"), names, [dim; 2], heads)?,
            attention_norm: norm("self_attn_layer_norm")?,
            points: MultiScaleAttention::load_shaped(&weights.at("encoder_attn"), points)?,
            mlp: Mlp::new(up, down, shape.activation),
            mlp_norm: norm("final_layer_norm")?,
        })
    }

    /// Queries that have looked at each other; `positions` are seen by queries and keys.
    pub(crate) fn among(&self, queries: &Tensor, positions: &Tensor) -> Result<Tensor> {
        let placed = (queries + positions)?;
        self.attention_norm.forward(&self.attention.forward_onto(&placed, &placed, queries, queries)?)
    }
}
