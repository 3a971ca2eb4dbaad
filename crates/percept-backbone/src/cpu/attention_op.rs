//! Attention that never writes the score matrix, on operands that lie as they are.

use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Storage, Tensor};
use percept_core::Precision;
use percept_kernels::{Attention, Operand, ScoreBias, Strides, Visible};

use super::{arithmetic, whole};
use crate::Result;
use crate::attention::See;
use crate::relative::MapBias;

/// Of queries, keys and values `[batch, tokens, heads, dim]`, each with its dims contiguous and any
/// other strides. Keys and values of batch 1 serve every batch item of the queries.
pub(crate) struct AttentionOp {
    pub(crate) scale: f32,
    pub(crate) see: See,
    pub(crate) bias: Option<AttentionBias>,
    /// That of the model.
    pub(crate) precision: Precision,
}

/// What is added to scores.
pub(crate) enum AttentionBias {
    /// `[batch or 1, heads or 1, queries, keys]`, contiguous.
    Full(Tensor),
    /// For keys that are the tokens of a map.
    Decomposed(MapBias),
}

impl CustomOp3 for AttentionOp {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, queries, heads, dim) = q_layout.shape().dims4()?;
        let (kv_batch, keys, kv_heads, _) = k_layout.shape().dims4()?;
        if kv_batch != batch && kv_batch != 1 {
            candle_core::bail!("attention: {batch} queries' items and {kv_batch} keys' items");
        }
        let shared = kv_batch != batch;
        let q = operand(q, q_layout, false)?;
        let (k, v) = (operand(k, k_layout, shared)?, operand(v, v_layout, shared)?);
        let tables = match &self.bias {
            None => vec![],
            Some(AttentionBias::Full(bias)) => vec![bias.storage_and_layout()],
            Some(AttentionBias::Decomposed(MapBias { height, width })) => {
                vec![height.storage_and_layout(), width.storage_and_layout()]
            }
        };
        let bias = match tables.as_slice() {
            [(storage, layout)] => Some(score_bias(storage, layout, queries * keys)?),
            [(height, rows), (width, columns)] => Some(ScoreBias::Decomposed {
                height: of_bias(height, rows)?,
                width: of_bias(width, columns)?,
                map: [rows.dims()[3], columns.dims()[3]],
            }),
            _ => None,
        };
        let attention = Attention {
            batch,
            heads,
            kv_heads,
            queries,
            keys,
            dim,
            scale: self.scale,
            visible: match self.see {
                See::All => Visible::All,
                See::Past => Visible::Past { past: keys - queries },
            },
            key_lengths: None,
            bias,
            arithmetic: arithmetic(self.precision),
        };
        let to = Strides::tokens_first(queries, heads * dim, dim);
        let out = if shared && attention.bias.is_none() && kv_heads == heads {
            // Heads before items: the keys of a head are read by all items while they are in cache.
            let swapped = Attention { batch: heads, heads: batch, kv_heads: 1, ..attention };
            swapped.forward(by_head(q), by_head(k), by_head(v), swapped_strides(to))
        } else {
            attention.forward(q, k, v, to)
        };
        Ok((CpuStorage::F32(out), Shape::from((batch, queries, heads, dim))))
    }
}

/// The same numbers with items and heads in each other's place.
fn by_head(operand: Operand<'_>) -> Operand<'_> {
    Operand { strides: swapped_strides(operand.strides), ..operand }
}

fn swapped_strides(strides: Strides) -> Strides {
    Strides { batch: strides.head, head: strides.batch, ..strides }
}

fn operand<'a>(storage: &'a CpuStorage, layout: &Layout, shared: bool) -> Result<Operand<'a>> {
    let values = &storage.as_slice::<f32>()?[layout.start_offset()..];
    match *layout.stride() {
        [batch, token, head, 1] => {
            let batch = if shared { 0 } else { batch };
            Ok(Operand { values, strides: Strides { batch, head, token } })
        }
        // A head of one channel has whatever stride it likes.
        [batch, token, head, _] if layout.dims()[3] == 1 => {
            Ok(Operand { values, strides: Strides { batch, head, token } })
        }
        ref strides => candle_core::bail!("attention: the channels of a head lie apart: {strides:?}"),
    }
}

fn score_bias<'a>(storage: &'a Storage, layout: &Layout, scores: usize) -> Result<ScoreBias<'a>> {
    let (batch, heads, _, _) = layout.shape().dims4()?;
    Ok(ScoreBias::Full {
        values: of_bias(storage, layout)?,
        batch: if batch == 1 { 0 } else { heads * scores },
        head: if heads == 1 { 0 } else { scores },
    })
}

fn of_bias<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => whole(storage, layout),
        _ => candle_core::bail!("attention: the bias is elsewhere"),
    }
}
