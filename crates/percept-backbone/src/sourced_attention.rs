//! Attention whose operands come of three sources.

use candle_core::Tensor;

use crate::Result;
use crate::attention::{AttentionNames, Heads, See, scaled_dot_product_attention};
use crate::linear::Linear;
use crate::weights::{Weights, WeightsError};

/// Multi-head attention whose queries, keys and values come of three sources (with positions added to some of them, as
/// in DETR and SAM), perhaps over fewer channels inside.
#[derive(Clone, Debug)]
pub struct SourcedAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    heads: Heads,
}

impl SourcedAttention {
    /// Loads an attention over `dim` channels, `inner` inside, in `heads` heads.
    pub fn load(
        weights: &Weights,
        names: AttentionNames,
        [dim, inner]: [usize; 2],
        heads: usize,
    ) -> Result<Self, WeightsError> {
        let linear = |name| Linear::load(&weights.at(name), dim, inner);
        Ok(Self {
            query: linear(names.query)?,
            key: linear(names.key)?,
            value: linear(names.value)?,
            heads: Heads::load_narrowed(weights, names, [inner, dim], heads)?,
        })
    }

    /// Of `[batch, queries, dim]` over keys and values `[batch, keys, dim]`, to `[batch, queries, dim]`. Queries, or keys
    /// and values together, of batch 1 serve all items of the other.
    pub fn forward(&self, queries: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor> {
        self.heads.output.forward(&self.mixed(queries, keys, values)?)
    }

    /// The same, added to `residual` in the shape of the output.
    pub fn forward_onto(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
        residual: &Tensor,
    ) -> Result<Tensor> {
        self.heads.output.forward_onto(&self.mixed(queries, keys, values)?, residual)
    }

    /// [`SourcedAttention::forward_onto`] with numbers added to the scores: `[batch or 1, heads or 1, queries, keys]`.
    pub fn forward_biased_onto(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
        bias: &Tensor,
        residual: &Tensor,
    ) -> Result<Tensor> {
        let mixed = self.mixed_biased(queries, keys, values, Some(bias))?;
        self.heads.output.forward_onto(&mixed, residual)
    }

    fn mixed(&self, queries: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor> {
        self.mixed_biased(queries, keys, values, None)
    }

    fn mixed_biased(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        let [q] = self.heads.parts(&self.query.forward(queries)?)?;
        let [k] = self.heads.parts(&self.key.forward(keys)?)?;
        let [v] = self.heads.parts(&self.value.forward(values)?)?;
        let (items, tokens, heads, dim) = q.dims4()?;
        let q = if items == 1 { q.broadcast_as((k.dim(0)?, tokens, heads, dim))? } else { q };
        let Heads { scale, precision, .. } = self.heads;
        let mixed = scaled_dot_product_attention(&q, &k, &v, scale, bias, See::All, precision)?;
        mixed.flatten_from(2)
    }
}

/// The same weights with the matrices of queries, keys and values apart, as `q_proj`, `k_proj` and `v_proj`, where
/// `torch.nn.MultiheadAttention` stores them in one, `in_proj_weight` and `in_proj_bias`.
pub fn projections_apart(weights: &Weights) -> Weights {
    weights.renamed(|name, shape| {
        let third = shape[0] / 3;
        for kind in ["weight", "bias"] {
            let Some(before) = name.strip_suffix(kind).and_then(|name| name.strip_suffix("in_proj_")) else {
                continue;
            };
            let part =
                |(index, part)| (format!("{before}{part}_proj.{kind}"), index * third..(index + 1) * third);
            return ["q", "k", "v"].into_iter().enumerate().map(part).collect();
        }
        vec![(name.to_owned(), 0..shape[0])]
    })
}
