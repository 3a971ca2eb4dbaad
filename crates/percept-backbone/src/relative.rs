//! Decomposed relative positions of the tokens of a map (Li et al. 2022, "MViTv2", arXiv 2112.01526, section 4.1; as
//! SAM has them).

use candle_core::{Device, Tensor};
use percept_core::Precision;
use rayon::prelude::*;

use crate::cpu::run_kernel;
use crate::linear::Linear;
use crate::weights::{Weights, WeightsError};
use crate::{Result, ToContiguous};

/// Two tables, by distance in height and in width: a query's product with the vector at the distance to a key is added
/// to their score.
#[derive(Clone, Debug)]
pub struct RelativePositions {
    /// Rows are the distances from the largest down, so that those to keys 0, 1, ... lie behind each other.
    tables: [Linear; 2],
    /// Height and width of the maps that the tables are for.
    map: [usize; 2],
}

/// What is added to the scores of the keys of a map: a number for each row plus a number for each column.
#[derive(Clone, Debug)]
pub(crate) struct MapBias {
    /// `[batch, heads, queries, map height]`, contiguous.
    pub(crate) height: Tensor,
    /// `[batch, heads, queries, map width]`, contiguous.
    pub(crate) width: Tensor,
}

impl RelativePositions {
    /// Loads `rel_pos_h` `[2 height - 1, dim]` and `rel_pos_w` `[2 width - 1, dim]` for heads of `dim` channels over maps
    /// of that height and width.
    pub fn load(weights: &Weights, map: [usize; 2], dim: usize) -> Result<Self, WeightsError> {
        // The products are few and decide where attention goes: never in bytes or bf16.
        let precision = match weights.precision() {
            Precision::Int8 | Precision::Bf16 => Precision::Bf16x3,
            finer => finer,
        };
        let table = |name: &str, side: usize| {
            let rows = (2 * side).saturating_sub(1);
            let table = weights.get(name, &[rows, dim])?;
            let backwards = (0..rows as u32).rev().collect::<Vec<_>>();
            Tensor::from_vec(backwards, rows, weights.device())
                .and_then(|order| Linear::new(&table.index_select(&order, 0)?, None, precision))
                .map_err(WeightsError::Engine)
        };
        Ok(Self { tables: [table("rel_pos_h", map[0])?, table("rel_pos_w", map[1])?], map })
    }

    /// The bias of queries `[batch, height * width, heads, dim]` of maps, row by row.
    pub(crate) fn of(&self, queries: &Tensor) -> Result<MapBias> {
        let (batch, tokens, heads, _) = queries.dims4()?;
        let [rows, columns] = self.map;
        if tokens != rows * columns {
            candle_core::bail!("{tokens} tokens, relative positions for a map of {rows} by {columns}");
        }
        let queries = queries.to_contiguous()?;
        let axis = |axis: usize| {
            let products = self.tables[axis].forward(&queries)?;
            let side = self.map[axis];
            if !matches!(products.device(), Device::Cpu) {
                return self.select(&products, axis);
            }
            run_kernel("relative-positions", [&products], |operands| {
                let (products, distances) = (operands[0].0, 2 * side - 1);
                let mut bias = vec![0.0; batch * heads * tokens * side];
                bias.par_chunks_mut(tokens * side).enumerate().for_each(|(index, bias)| {
                    let (item, head) = (index / heads, index % heads);
                    for (token, bias) in bias.chunks_exact_mut(side).enumerate() {
                        let at = if axis == 0 { token / columns } else { token % columns };
                        let row = (item * tokens + token) * heads + head;
                        bias.copy_from_slice(&products[row * distances + side - 1 - at..][..side]);
                    }
                });
                Ok((bias, (batch, heads, tokens, side).into()))
            })
        };
        Ok(MapBias { height: axis(0)?, width: axis(1)? })
    }

    /// What the kernel does, by operations of any device.
    fn select(&self, products: &Tensor, axis: usize) -> Result<Tensor> {
        let (batch, tokens, heads, distances) = products.dims4()?;
        let ([rows, columns], side) = (self.map, self.map[axis]);
        let map = products.reshape((batch, rows, columns, heads * distances))?;
        let lines = (0..side).map(|at| {
            let line = map.narrow(1 + axis, at, 1)?.to_contiguous()?;
            let line =
                line.reshape((batch, tokens / side, heads, distances))?.narrow(3, side - 1 - at, side)?;
            let shape =
                if axis == 0 { (batch, 1, columns, heads * side) } else { (batch, rows, 1, heads * side) };
            line.to_contiguous()?.reshape(shape)
        });
        let lines = lines.collect::<Result<Vec<_>>>()?;
        let map = Tensor::cat(&lines, 1 + axis)?;
        map.reshape((batch, tokens, heads, side))?.transpose(1, 2)?.to_contiguous()
    }
}

impl MapBias {
    /// Written out: `[batch, heads, queries, keys]`.
    pub(crate) fn full(&self) -> Result<Tensor> {
        let (batch, heads, queries, rows) = self.height.dims4()?;
        let columns = self.width.dim(3)?;
        let sum = self.height.unsqueeze(4)?.broadcast_add(&self.width.unsqueeze(3)?)?;
        sum.reshape((batch, heads, queries, rows * columns))
    }
}
