//! The image encoder: a Vision Transformer, and queries that read its tokens.

use percept_backbone::vit::{Vit, VitNames};
use percept_backbone::{
    AttentionNames, BlockNames, CrossAttention, LayerNorm, Linear, Result, Tensor, Weights, WeightsError,
};

use super::config::{EPS, Shape};

/// From pixels to what a text looks at, and to the vector that texts are compared with.
pub(super) struct Vision {
    vit: Vit,
    /// Normalised, `[1, queries, channels]`.
    queries: Tensor,
    token_norm: LayerNorm,
    pool: CrossAttention,
    norm: LayerNorm,
    projection: Linear,
}

impl Vision {
    /// Loads `visual`, its matrices apart and its projection turned.
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let &Shape { embedding: dim, queries, query_heads, .. } = shape;
        let mut names = VitNames::OPEN_CLIP;
        if shape.scaled {
            names.block = BlockNames { scales: Some(("ls_1.gamma", "ls_2.gamma")), ..names.block };
        }
        let pool = weights.at("attn_pool");
        let learned = pool.get("query", &[queries, dim])?;
        let queries = LayerNorm::load(&pool.at("ln_q"), dim, EPS)?
            .forward(&learned)
            .and_then(|queries| queries.unsqueeze(0))
            .map_err(WeightsError::Engine)?;
        let channels = [dim, shape.vision.dim];
        Ok(Self {
            vit: Vit::load(weights, &shape.vision, &names)?,
            queries,
            token_norm: LayerNorm::load(&pool.at("ln_k"), shape.vision.dim, EPS)?,
            pool: CrossAttention::load_wide(&pool.at("attn"), AttentionNames::PROJ, channels, query_heads)?,
            norm: LayerNorm::load(&weights.at("ln_post"), dim, EPS)?,
            projection: Linear::load(&weights.at("proj"), dim, dim)?,
        })
    }

    /// What the queries read of a picture: `[1, queries, channels]`. The first is for [`Vision::vector`], the others are
    /// for texts.
    pub(super) fn look(&self, pixels: &Tensor) -> Result<Tensor> {
        let memory = self.pool.remember(&self.token_norm.forward(&self.vit.tokens(pixels)?)?)?;
        let none = self.queries.zeros_like()?;
        self.norm.forward(&self.pool.over_memory(&self.queries, &memory, &none)?)
    }

    /// The vector that texts are compared with, `[1, channels]`, of any length.
    pub(super) fn vector(&self, seen: &Tensor) -> Result<Tensor> {
        self.projection.forward(&seen.narrow(1, 0, 1)?.squeeze(1)?)
    }
}
