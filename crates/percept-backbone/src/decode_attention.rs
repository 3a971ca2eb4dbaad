//! Attention of several decodes that go in step: matrices meet the rows of all at once, while each decode looks at its
//! own past and at its own memory.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::attention::{Attention, CrossAttention, Heads, See, scaled_dot_product_attention};
use crate::key_values::KeyValues;
use crate::{Result, ToContiguous};

/// One of several decodes, as a layer sees it.
pub struct Decode<'a> {
    /// Its rows: beams, or candidates.
    pub rows: usize,
    /// Keys and values of its past, a row of the batch for each of `rows`.
    pub cache: &'a mut KeyValues,
    /// What it looks at, of batch 1.
    pub memory: &'a KeyValues,
}

impl Attention {
    /// [`Attention::over_past`] for several decodes: `x` and `residual` `[rows of all, 1, dim]`.
    pub(crate) fn over_pasts(
        &self,
        x: &Tensor,
        decodes: &mut [Decode<'_>],
        residual: &Tensor,
    ) -> Result<Tensor> {
        let [queries, keys, values] = self.heads.parts(&self.input.forward(x)?)?;
        let mixed = each(decodes, |decode, first| {
            let own = |x: &Tensor| x.narrow(0, first, decode.rows);
            let queries = own(&queries)?;
            decode.cache.append(&own(&keys)?, &own(&values)?)?;
            self.heads.mixed(&queries, &decode.cache.filled()?, See::Past)
        })?;
        self.heads.output.forward_onto(&mixed, residual)
    }

    pub(crate) fn rows_are_independent(&self) -> bool {
        self.input.rows_are_independent() && self.heads.output.rows_are_independent()
    }
}

impl CrossAttention {
    /// [`CrossAttention::over_memory`] for several decodes: `x` and `residual` `[rows of all, 1, dim]`.
    pub(crate) fn over_memories(
        &self,
        x: &Tensor,
        decodes: &mut [Decode<'_>],
        residual: &Tensor,
    ) -> Result<Tensor> {
        let queries = self.queries(x)?;
        let mixed = each(decodes, |decode, first| {
            let queries = queries.narrow(0, first, decode.rows)?;
            self.heads.mixed(&queries, &decode.memory.filled()?, See::All)
        })?;
        self.heads.output.forward_onto(&mixed, residual)
    }

    pub(crate) fn rows_are_independent(&self) -> bool {
        self.query.rows_are_independent() && self.heads.output.rows_are_independent()
    }
}

impl Heads {
    /// The same operation with the same shapes as where the decode is alone: so it has the same bits.
    fn mixed(&self, queries: &Tensor, (keys, values): &(Tensor, Tensor), see: See) -> Result<Tensor> {
        let mixed =
            scaled_dot_product_attention(queries, keys, values, self.scale, None, see, self.precision)?;
        mixed.flatten_from(2)?.to_contiguous()
    }
}

/// Does something for each decode and the index of its first row, side by side, and stacks the results.
fn each(
    decodes: &mut [Decode<'_>],
    work: impl Fn(&mut Decode<'_>, usize) -> Result<Tensor> + Sync,
) -> Result<Tensor> {
    let mut next = 0;
    let firsts = decodes.iter_mut().map(|decode| {
        let first = next;
        next += decode.rows;
        (decode, first)
    });
    let firsts = firsts.collect::<Vec<_>>();
    let results = firsts.into_par_iter().map(|(decode, first)| work(decode, first));
    Tensor::cat(&results.collect::<Vec<_>>().into_iter().collect::<Result<Vec<_>>>()?, 0)
}
