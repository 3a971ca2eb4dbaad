//! Multi-head attention: the only `softmax(Q K^T) V` in the workspace.

use candle_core::{D, DType, Device, Tensor};
use percept_core::Precision;

use crate::cpu::{AttentionBias, AttentionOp};
use crate::key_values::KeyValues;
use crate::linear::Linear;
use crate::pool::max_pool_tokens;
use crate::relative::{MapBias, RelativePositions};
use crate::weights::{Weights, WeightsError};
use crate::window::{window_partition, window_unpartition};
use crate::{Result, ToContiguous};

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
/// `q` is `[batch, queries, heads, dim]`, `k` and `v` are `[batch or 1, keys, heads, dim]` (1: all
/// items share them), `bias` is `[batch or 1, heads or 1, queries, keys]`; the result has the shape
/// of `q`. On the processor the score matrix is never written, operands are read where they lie, and
/// with [`Precision::Bf16`] or [`Precision::Int8`] they may be rounded to bf16.
pub fn scaled_dot_product_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f64,
    bias: Option<&Tensor>,
    see: See,
    precision: Precision,
) -> Result<Tensor> {
    if let Device::Cpu = q.device() {
        let bias = bias.map(Tensor::to_contiguous).transpose()?.map(AttentionBias::Full);
        return q.apply_op3_no_bwd(k, v, &AttentionOp { scale: scale as f32, see, bias, precision });
    }
    let probabilities = attention_probabilities(q, k, scale, bias, see)?;
    let heads = v.transpose(1, 2)?.broadcast_as(batched(v, q.dim(0)?)?)?.to_contiguous()?;
    probabilities.matmul(&heads)?.transpose(1, 2)?.to_contiguous()
}

/// [`scaled_dot_product_attention`] over keys that are the tokens of a map, with a number for each row and one for each
/// column of it added to the scores.
fn attention_over_map(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f64,
    bias: Option<MapBias>,
    precision: Precision,
) -> Result<Tensor> {
    let Some(bias) = bias else {
        return scaled_dot_product_attention(q, k, v, scale, None, See::All, precision);
    };
    if let Device::Cpu = q.device() {
        let bias = Some(AttentionBias::Decomposed(bias));
        return q.apply_op3_no_bwd(
            k,
            v,
            &AttentionOp { scale: scale as f32, see: See::All, bias, precision },
        );
    }
    scaled_dot_product_attention(q, k, v, scale, Some(&bias.full()?), See::All, precision)
}

/// `softmax(Q K^T scale + bias)`: `[batch, heads, queries, keys]`, written out. For other devices,
/// and for those who want to look at it, such as the alignment of words.
fn attention_probabilities(
    q: &Tensor,
    k: &Tensor,
    scale: f64,
    bias: Option<&Tensor>,
    see: See,
) -> Result<Tensor> {
    let keys = k.transpose(1, 2)?.broadcast_as(batched(k, q.dim(0)?)?)?.to_contiguous()?;
    // The scale goes onto the smaller factor.
    let scores = (q.transpose(1, 2)?.to_contiguous()? * scale)?.matmul(&keys.t()?)?;
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

/// The shape `[batch, heads, tokens, dim]` of `[_, tokens, heads, dim]`.
fn batched(x: &Tensor, batch: usize) -> Result<(usize, usize, usize, usize)> {
    let (_, tokens, heads, dim) = x.dims4()?;
    Ok((batch, heads, tokens, dim))
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

/// Multi-head attention over its own input. Queries, keys and values come of the same, so their matrices are one.
#[derive(Clone, Debug)]
pub struct Attention {
    pub(crate) input: Linear,
    pub(crate) heads: Heads,
    relative: Option<RelativePositions>,
}

/// Multi-head attention over a memory, whose keys and values are computed once.
#[derive(Clone, Debug)]
pub struct CrossAttention {
    pub(crate) query: Linear,
    /// The matrices of keys and values are one.
    key_value: Linear,
    pub(crate) heads: Heads,
}

/// What both have in common: how projections divide into heads, and the output matrix.
#[derive(Clone, Debug)]
pub(crate) struct Heads {
    pub(crate) output: Linear,
    count: usize,
    pub(crate) scale: f64,
    pub(crate) precision: Precision,
}

impl Attention {
    /// Loads an attention over `dim` channels in `heads` heads.
    pub fn load(
        weights: &Weights,
        names: AttentionNames,
        dim: usize,
        heads: usize,
    ) -> Result<Self, WeightsError> {
        Self::load_widening(weights, names, [dim, dim], heads)
    }

    /// Loads an attention from `input` to `output` channels, in `heads` heads of the latter.
    pub fn load_widening(
        weights: &Weights,
        names: AttentionNames,
        [input, output]: [usize; 2],
        heads: usize,
    ) -> Result<Self, WeightsError> {
        let heads = Heads::load(weights, names, output, heads)?;
        let all = [names.query, names.key, names.value].map(|name| weights.at(name));
        Ok(Self { input: Linear::load_stacked(&all, input, output)?, heads, relative: None })
    }

    /// The same with relative positions for [`Attention::over_map`].
    pub fn with_relative_positions(self, relative: RelativePositions) -> Self {
        Self { relative: Some(relative), ..self }
    }

    /// The same with every channel of the output multiplied by its factor `[dim]`, before the residual is
    /// added (layer scale).
    pub fn scaled_by(self, factors: &Tensor) -> Result<Self> {
        let output = self.heads.output.scaled_by(factors)?;
        Ok(Self { heads: Heads { output, ..self.heads }, ..self })
    }

    /// Of `x` with itself, added to `residual`: `[batch, time, dim]` to the same.
    pub fn over_itself(&self, x: &Tensor, see: See, residual: &Tensor) -> Result<Tensor> {
        let [queries, keys, values] = self.heads.parts(&self.input.forward(x)?)?;
        self.heads.mix(&queries, &keys, &values, see, residual)
    }

    /// [`Attention::over_itself`] with numbers added to the scores: `bias` is `[batch or 1, heads or 1, time, time]`,
    /// its last dimension the keys.
    pub fn over_itself_biased(&self, x: &Tensor, bias: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.project_onto(&self.mixed(x, bias)?, residual)
    }

    /// [`Attention::over_itself_biased`] before the output matrix and without a residual: `[batch, time, dim]`.
    pub fn mixed(&self, x: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let [q, k, v] = self.heads.parts(&self.input.forward(x)?)?;
        let Heads { scale, precision, .. } = self.heads;
        scaled_dot_product_attention(&q, &k, &v, scale, Some(bias), See::All, precision)?.flatten_from(2)
    }

    /// The output matrix of what [`Attention::mixed`] gives, added to `residual`.
    pub fn project_onto(&self, mixed: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.heads.output.forward_onto(mixed, residual)
    }

    /// Of maps `[batch, height, width, dim]` with themselves, each in windows of `window` tokens a side or as a whole,
    /// added to `residual`. Tokens that fill up windows are zeros before the projections, and they are seen. Where
    /// there is a `stride`, queries are the largest of as many tokens down and across, and the map shrinks by it.
    pub fn over_map(
        &self,
        x: &Tensor,
        window: Option<usize>,
        stride: Option<[usize; 2]>,
        residual: &Tensor,
    ) -> Result<Tensor> {
        let (_, height, width, _) = x.dims4()?;
        let windows = match window {
            Some(side) => window_partition(x, [side, side])?,
            None => x.clone(),
        };
        let (count, mut rows, mut columns, _) = windows.dims4()?;
        let [mut queries, keys, values] = self.heads.parts(&self.input.forward(&windows.flatten(1, 2)?)?)?;
        let bias = self.relative.as_ref().map(|relative| relative.of(&queries)).transpose()?;
        let mut map = [height, width];
        if let Some(stride) = stride {
            let (_, _, heads, dim) = queries.dims4()?;
            queries = max_pool_tokens(
                &queries.to_contiguous()?.reshape((count, rows, columns, heads * dim))?,
                stride,
            )?;
            (rows, columns) = (rows / stride[0], columns / stride[1]);
            map = [height / stride[0], width / stride[1]];
            queries = queries.reshape((count, rows * columns, heads, dim))?;
        }
        let Heads { scale, precision, .. } = self.heads;
        let mixed = attention_over_map(&queries, &keys, &values, scale, bias, precision)?;
        let mixed = mixed.flatten_from(2)?.reshape((count, rows, columns, ()))?;
        // What fills up windows is dropped before the last matrix, not after.
        let mixed = if window.is_some() { window_unpartition(&mixed, map)? } else { mixed };
        self.heads.output.forward_onto(&mixed, residual)
    }

    /// Of new positions `[batch, new, dim]` with themselves and all that came before, added to
    /// `residual`; the cache grows by the new ones.
    pub fn over_past(&self, x: &Tensor, cache: &mut KeyValues, residual: &Tensor) -> Result<Tensor> {
        self.over_past_seeing(x, cache, See::Past, residual)
    }

    /// [`Attention::over_past`] whose new positions see as `see` says.
    pub(crate) fn over_past_seeing(
        &self,
        x: &Tensor,
        cache: &mut KeyValues,
        see: See,
        residual: &Tensor,
    ) -> Result<Tensor> {
        let [queries, keys, values] = self.heads.parts(&self.input.forward(x)?)?;
        cache.append(&keys, &values)?;
        let (keys, values) = cache.filled()?;
        self.heads.mix(&queries, &keys, &values, see, residual)
    }
}

impl CrossAttention {
    /// Loads an attention over `dim` channels in `heads` heads. The matrices of keys and values meet all of a
    /// memory at once, however few rows the weights are for.
    pub fn load(
        weights: &Weights,
        names: AttentionNames,
        dim: usize,
        heads: usize,
    ) -> Result<Self, WeightsError> {
        Self::load_wide(weights, names, [dim, dim], heads)
    }

    /// [`CrossAttention::load`] over a memory of another number of channels, the second of the two.
    pub fn load_wide(
        weights: &Weights,
        names: AttentionNames,
        [dim, channels]: [usize; 2],
        heads: usize,
    ) -> Result<Self, WeightsError> {
        let heads = Heads::load(weights, names, dim, heads)?;
        let memory = weights.for_many_rows();
        let key_value = [names.key, names.value].map(|name| memory.at(name));
        Ok(Self {
            query: Linear::load(&weights.at(names.query), dim, dim)?,
            key_value: Linear::load_stacked(&key_value, channels, dim)?,
            heads,
        })
    }

    /// The same with every channel of the output multiplied by its factor `[dim]`, before the residual is
    /// added (layer scale).
    pub fn scaled_by(self, factors: &Tensor) -> Result<Self> {
        let output = self.heads.output.scaled_by(factors)?;
        Ok(Self { heads: Heads { output, ..self.heads }, ..self })
    }

    /// The keys and values of a memory `[batch, positions, dim]`, for [`CrossAttention::over_memory`].
    pub fn remember(&self, memory: &Tensor) -> Result<KeyValues> {
        let [keys, values] = self.heads.parts(&self.key_value.forward(memory)?)?;
        let lay = |x: &Tensor| x.transpose(1, 2)?.to_contiguous();
        KeyValues::of(lay(&keys)?, lay(&values)?)
    }

    /// Of `x` `[batch, time, dim]` with a memory, added to `residual`. A memory of batch 1 serves
    /// every row of `x`.
    pub fn over_memory(&self, x: &Tensor, memory: &KeyValues, residual: &Tensor) -> Result<Tensor> {
        let (keys, values) = memory.filled()?;
        self.heads.mix(&self.queries(x)?, &keys, &values, See::All, residual)
    }

    /// How much each position of `x` looks at each position of the memory, by head:
    /// `[batch, heads, time, positions]`.
    pub fn gaze(&self, x: &Tensor, memory: &KeyValues) -> Result<Tensor> {
        attention_probabilities(&self.queries(x)?, &memory.filled()?.0, self.heads.scale, None, See::All)
    }

    pub(crate) fn queries(&self, x: &Tensor) -> Result<Tensor> {
        self.heads.parts(&self.query.forward(x)?).map(|[queries]| queries)
    }
}

impl Heads {
    fn load(
        weights: &Weights,
        names: AttentionNames,
        dim: usize,
        count: usize,
    ) -> Result<Self, WeightsError> {
        Self::load_narrowed(weights, names, [dim, dim], count)
    }

    /// Heads over `dim` channels whose output has `output`.
    pub(crate) fn load_narrowed(
        weights: &Weights,
        names: AttentionNames,
        [dim, output]: [usize; 2],
        count: usize,
    ) -> Result<Self, WeightsError> {
        if count == 0 || !dim.is_multiple_of(count) {
            return Err(WeightsError::Format(format!("{dim} channels do not divide into {count} heads")));
        }
        Ok(Self {
            output: Linear::load(&weights.at(names.output), dim, output)?,
            count,
            scale: ((dim / count) as f64).powf(-0.5),
            precision: weights.precision(),
        })
    }

    fn mix(&self, q: &Tensor, k: &Tensor, v: &Tensor, see: See, residual: &Tensor) -> Result<Tensor> {
        let mixed = scaled_dot_product_attention(q, k, v, self.scale, None, see, self.precision)?;
        self.output.forward_onto(&mixed.flatten_from(2)?, residual)
    }

    /// Views of `N` projections that lie behind each other in `[batch, time, N * dim]`, each
    /// `[batch, time, heads, dim / heads]`.
    pub(crate) fn parts<const N: usize>(&self, all: &Tensor) -> Result<[Tensor; N]> {
        let (batch, time, width) = all.dims3()?;
        let all = all.reshape((batch, time, N, self.count, width / N / self.count))?;
        let parts = (0..N).map(|part| all.narrow(2, part, 1)?.squeeze(2)).collect::<Result<Vec<_>>>()?;
        parts.try_into().map_err(|_| candle_core::Error::Msg("a projection is missing".into()))
    }
}
