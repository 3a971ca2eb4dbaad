//! Multi-head attention: the only `softmax(Q K^T) V` in the workspace.

use candle_core::{D, DType, Tensor};

use crate::Result;
use crate::linear::Linear;
use crate::weights::{Weights, WeightsError};

/// Which keys a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum See {
    /// All of them.
    All,
    /// Those up to its own position. The last query stands at the last key.
    Past,
}

/// `softmax(Q K^T scale + bias) V`.
///
/// `q` is `[batch, heads, queries, dim]`, `k` and `v` are `[batch, heads, keys, dim]`, `bias`
/// broadcasts to `[batch, heads, queries, keys]`; the result has the shape of `q`.
pub fn scaled_dot_product_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f64,
    bias: Option<&Tensor>,
    see: See,
) -> Result<Tensor> {
    attention_probabilities(q, k, scale, bias, see)?.matmul(&v.contiguous()?)
}

/// `softmax(Q K^T scale + bias)`: `[batch, heads, queries, keys]`. For those who want to look at it,
/// such as the alignment of words; arguments as in [`scaled_dot_product_attention`].
fn attention_probabilities(
    q: &Tensor,
    k: &Tensor,
    scale: f64,
    bias: Option<&Tensor>,
    see: See,
) -> Result<Tensor> {
    // The scale goes onto the smaller factor.
    let scores = (q.contiguous()? * scale)?.matmul(&k.contiguous()?.t()?)?;
    let scores = match bias {
        Some(bias) => scores.broadcast_add(bias)?,
        None => scores,
    };
    let (queries, keys) = (scores.dim(D::Minus2)?, scores.dim(D::Minus1)?);
    let scores = match see {
        See::Past if queries > 1 => scores.broadcast_add(&future_mask(queries, keys, &scores)?)?,
        _ => scores,
    };
    candle_nn::ops::softmax_last_dim(&scores)
}

/// Minus infinity where a key lies after its query: `[queries, keys]`.
fn future_mask(queries: usize, keys: usize, like: &Tensor) -> Result<Tensor> {
    let offset = keys - queries;
    let mask = (0..queries)
        .flat_map(|query| {
            (0..keys).map(move |key| if key > query + offset { f32::NEG_INFINITY } else { 0.0 })
        })
        .collect::<Vec<_>>();
    Tensor::from_vec(mask, (queries, keys), like.device())?.to_dtype(DType::F32)
}

/// Keys and values: those of a memory, computed once, or a cache that grows with every step.
#[derive(Debug)]
pub struct KeyValues {
    /// `[batch, heads, capacity, dim]`, filled up to `len`.
    keys: Tensor,
    values: Tensor,
    len: usize,
}

impl KeyValues {
    /// Positions that are filled.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is filled.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// An empty cache with room for `capacity` positions.
    pub fn with_capacity(
        batch: usize,
        heads: usize,
        capacity: usize,
        dim: usize,
        like: &Tensor,
    ) -> Result<Self> {
        let zeros = || Tensor::zeros((batch, heads, capacity, dim), like.dtype(), like.device());
        Ok(Self { keys: zeros()?, values: zeros()?, len: 0 })
    }

    /// Keeps the rows of the batch that `rows` names, in that order; a row may be named twice.
    pub fn select(&self, rows: &Tensor) -> Result<Self> {
        // The whole capacity is copied, so that no two caches ever share their storage.
        Ok(Self {
            keys: self.keys.index_select(rows, 0)?,
            values: self.values.index_select(rows, 0)?,
            len: self.len,
        })
    }

    fn append(&mut self, keys: &Tensor, values: &Tensor) -> Result<()> {
        self.keys.slice_set(&keys.contiguous()?, 2, self.len)?;
        self.values.slice_set(&values.contiguous()?, 2, self.len)?;
        self.len += keys.dim(2)?;
        Ok(())
    }

    fn filled(&self) -> Result<(Tensor, Tensor)> {
        Ok((self.keys.narrow(2, 0, self.len)?, self.values.narrow(2, 0, self.len)?))
    }
}

/// How a checkpoint names the four matrices of an attention.
#[derive(Clone, Copy, Debug)]
pub struct AttentionNames {
    /// The query matrix.
    pub query: &'static str,
    /// The key matrix.
    pub key: &'static str,
    /// The value matrix.
    pub value: &'static str,
    /// The output matrix.
    pub output: &'static str,
}

impl AttentionNames {
    /// `q_proj`, `k_proj`, `v_proj`, `out_proj`: BART, Whisper, CLIP, DETR.
    pub const PROJ: Self = Self { query: "q_proj", key: "k_proj", value: "v_proj", output: "out_proj" };
}

/// Multi-head attention with its four matrices.
#[derive(Clone, Debug)]
pub struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: usize,
    scale: f64,
}

impl Attention {
    /// Loads an attention over `dim` channels in `heads` heads.
    pub fn load(
        weights: &Weights,
        names: AttentionNames,
        dim: usize,
        heads: usize,
    ) -> Result<Self, WeightsError> {
        if heads == 0 || !dim.is_multiple_of(heads) {
            return Err(WeightsError::Format(format!("{dim} channels do not divide into {heads} heads")));
        }
        let linear = |name| Linear::load(&weights.at(name), dim, dim);
        Ok(Self {
            query: linear(names.query)?,
            key: linear(names.key)?,
            value: linear(names.value)?,
            output: linear(names.output)?,
            heads,
            scale: ((dim / heads) as f64).powf(-0.5),
        })
    }

    /// Of `x` with itself: `[batch, time, dim]` to the same.
    pub fn over_itself(&self, x: &Tensor, see: See) -> Result<Tensor> {
        let (q, k, v) = (self.split(&self.query, x)?, self.split(&self.key, x)?, self.split(&self.value, x)?);
        let mixed = scaled_dot_product_attention(&q, &k, &v, self.scale, None, see)?;
        self.merge(&mixed)
    }

    /// Of new positions `[batch, new, dim]` with themselves and all that came before; the cache
    /// grows by the new ones.
    pub fn over_past(&self, x: &Tensor, cache: &mut KeyValues) -> Result<Tensor> {
        cache.append(&self.split(&self.key, x)?, &self.split(&self.value, x)?)?;
        let (keys, values) = cache.filled()?;
        let q = self.split(&self.query, x)?;
        let mixed = scaled_dot_product_attention(&q, &keys, &values, self.scale, None, See::Past)?;
        self.merge(&mixed)
    }

    /// The keys and values of a memory `[batch, positions, dim]`, for [`Attention::over_memory`].
    pub fn remember(&self, memory: &Tensor) -> Result<KeyValues> {
        let keys = self.split(&self.key, memory)?.contiguous()?;
        let values = self.split(&self.value, memory)?.contiguous()?;
        Ok(KeyValues { keys, values, len: memory.dim(1)? })
    }

    /// Of `x` `[batch, time, dim]` with a memory. A memory of batch 1 serves every row of `x`.
    pub fn over_memory(&self, x: &Tensor, memory: &KeyValues) -> Result<Tensor> {
        let q = self.split(&self.query, x)?;
        let (batch, heads, time, dim) = q.dims4()?;
        if memory.keys.dim(0)? == batch {
            let mixed =
                scaled_dot_product_attention(&q, &memory.keys, &memory.values, self.scale, None, See::All)?;
            return self.merge(&mixed);
        }
        // Rows that share a memory are queries of one batch item: the memory is not copied.
        let q = q.transpose(0, 1)?.reshape((1, heads, batch * time, dim))?;
        let mixed =
            scaled_dot_product_attention(&q, &memory.keys, &memory.values, self.scale, None, See::All)?;
        self.merge(&mixed.reshape((heads, batch, time, dim))?.transpose(0, 1)?)
    }

    /// How much each position of `x` looks at each position of the memory, by head:
    /// `[batch, heads, time, positions]`.
    pub fn gaze(&self, x: &Tensor, memory: &KeyValues) -> Result<Tensor> {
        attention_probabilities(&self.split(&self.query, x)?, &memory.keys, self.scale, None, See::All)
    }

    /// `[batch, time, dim]` to `[batch, heads, time, dim / heads]`.
    fn split(&self, linear: &Linear, x: &Tensor) -> Result<Tensor> {
        let (batch, time, dim) = x.dims3()?;
        linear.forward(x)?.reshape((batch, time, self.heads, dim / self.heads))?.transpose(1, 2)
    }

    /// The way back, and the output matrix.
    fn merge(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, heads, time, dim) = x.dims4()?;
        self.output.forward(&x.transpose(1, 2)?.reshape((batch, time, heads * dim))?)
    }
}
