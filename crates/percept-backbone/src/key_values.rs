//! What a decode knows of its past and of its memory.

use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Tensor};

use crate::{Result, ToContiguous};

/// Keys and values: those of a memory, computed once, or a cache that grows with every step.
#[derive(Debug)]
pub struct KeyValues {
    /// `[batch, heads, capacity, dim]`, filled up to `len`: a head's keys lie in a row.
    keys: Tensor,
    values: Tensor,
    len: usize,
}

/// Positions that a cache has room for at first, and at least gains when it is full.
const ROOM: usize = 64;

impl KeyValues {
    /// Positions that are filled.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is filled.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// An empty cache of `batch` rows.
    pub fn empty(batch: usize, heads: usize, dim: usize, device: &Device) -> Result<Self> {
        let zeros = || Tensor::zeros((batch, heads, ROOM, dim), DType::F32, device);
        Ok(Self { keys: zeros()?, values: zeros()?, len: 0 })
    }

    /// Keys and values that are there, `[batch, heads, len, dim]` each.
    pub(crate) fn of(keys: Tensor, values: Tensor) -> Result<Self> {
        let len = keys.dim(2)?;
        Ok(Self { keys, values, len })
    }

    /// Keeps the rows of the batch that `rows` names, in that order; a row may be named twice.
    pub fn select(&mut self, rows: &[usize]) -> Result<()> {
        for x in [&mut self.keys, &mut self.values] {
            if x.device().is_cpu() && rows.len() <= x.dim(0)? {
                // Most beams follow themselves: what stays where it is is not copied.
                x.inplace_op1(&MoveRows { rows, len: self.len })?;
                *x = x.narrow(0, 0, rows.len())?;
            } else {
                let indices = rows.iter().map(|row| *row as u32).collect::<Vec<_>>();
                let indices = Tensor::from_vec(indices, rows.len(), x.device())?;
                // What is filled is copied, so that no two caches ever share their storage.
                let filled = x.narrow(2, 0, self.len)?.to_contiguous()?;
                *x = roomy(&filled.index_select(&indices, 0)?, ROOM)?;
            }
        }
        Ok(())
    }

    /// Adds new positions, `[batch, new, heads, dim]`.
    pub(crate) fn append(&mut self, keys: &Tensor, values: &Tensor) -> Result<()> {
        let new = keys.dim(1)?;
        if self.len + new > self.keys.dim(2)? {
            let room = new + ROOM.max(self.len);
            self.keys = roomy(&self.keys.narrow(2, 0, self.len)?, room)?;
            self.values = roomy(&self.values.narrow(2, 0, self.len)?, room)?;
        }
        self.keys.slice_set(&keys.transpose(1, 2)?.to_contiguous()?, 2, self.len)?;
        self.values.slice_set(&values.transpose(1, 2)?.to_contiguous()?, 2, self.len)?;
        self.len += new;
        Ok(())
    }

    /// Keys and values, `[batch, len, heads, dim]`, as views.
    pub(crate) fn filled(&self) -> Result<(Tensor, Tensor)> {
        let view = |x: &Tensor| x.narrow(2, 0, self.len)?.transpose(1, 2);
        Ok((view(&self.keys)?, view(&self.values)?))
    }
}

/// A copy of `[batch, heads, len, dim]` with room for more positions.
fn roomy(x: &Tensor, room: usize) -> Result<Tensor> {
    let (batch, heads, len, dim) = x.dims4()?;
    let copy = Tensor::zeros((batch, heads, len + room, dim), x.dtype(), x.device())?;
    if len > 0 {
        copy.slice_set(&x.to_contiguous()?, 2, 0)?;
    }
    Ok(copy)
}

/// Moves rows of `[batch, heads, capacity, dim]` into the places `0..rows.len()`, as far as they are filled.
struct MoveRows<'a> {
    rows: &'a [usize],
    len: usize,
}

impl InplaceOp1 for MoveRows<'_> {
    fn name(&self) -> &'static str {
        "move rows"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (batch, heads, capacity, dim) = layout.shape().dims4()?;
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            candle_core::bail!("a contiguous cache of f32 is wanted");
        };
        if self.rows.iter().any(|row| *row >= batch) || self.rows.len() > batch || self.len > capacity {
            candle_core::bail!("rows {:?} of {batch}", self.rows);
        }
        let values = &mut values[start..end];
        let (each, filled) = (capacity * dim, self.len * dim);
        let moved = || self.rows.iter().enumerate().filter(|(to, from)| to != *from);
        // All are read before any is written: a row may be needed that another takes the place of.
        let mut copies = Vec::with_capacity(moved().count() * heads * filled);
        for (_, from) in moved() {
            let row = &values[from * heads * each..][..heads * each];
            row.chunks_exact(each).for_each(|head| copies.extend_from_slice(&head[..filled]));
        }
        let mut copies = copies.chunks_exact(filled.max(1));
        for (to, _) in moved() {
            let row = &mut values[to * heads * each..][..heads * each];
            for (head, copy) in row.chunks_exact_mut(each).zip(&mut copies) {
                head[..filled].copy_from_slice(copy);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache of `batch` rows in which every number is known by its place.
    fn cache(batch: usize, len: usize) -> KeyValues {
        let mut cache = KeyValues::empty(batch, 2, 3, &Device::Cpu).unwrap();
        let count = (batch * len * 6) as f32;
        let new = |first: f32| {
            Tensor::arange(first, first + count, &Device::Cpu).unwrap().reshape((batch, len, 2, 3)).unwrap()
        };
        cache.append(&new(0.0), &new(1000.0)).unwrap();
        cache
    }

    fn numbers(x: &Tensor) -> Vec<f32> {
        x.to_contiguous().unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn rows_are_those_that_were_named() {
        for rows in [
            vec![0, 1, 2, 3],
            vec![1, 0, 2, 3],
            vec![3, 3, 3, 0],
            vec![1, 2],
            vec![2],
            vec![0, 0, 1, 1, 2, 3],
            vec![3, 0, 1, 2],
        ] {
            let mut found = cache(4, 70);
            found.select(&rows).unwrap();
            let (keys, values) = cache(4, 70).filled().unwrap();
            let indices = rows.iter().map(|row| *row as u32).collect::<Vec<_>>();
            let indices = Tensor::new(indices, &Device::Cpu).unwrap();
            let wanted = |x: &Tensor| numbers(&x.to_contiguous().unwrap().index_select(&indices, 0).unwrap());
            let filled = found.filled().unwrap();
            assert_eq!(numbers(&filled.0), wanted(&keys), "{rows:?}");
            assert_eq!(numbers(&filled.1), wanted(&values), "{rows:?}");
            // And it grows on.
            let more = Tensor::full(7.0_f32, (rows.len(), 60, 2, 3), &Device::Cpu).unwrap();
            found.append(&more, &more).unwrap();
            let (keys, _) = found.filled().unwrap();
            assert_eq!(numbers(&keys.narrow(1, 70, 60).unwrap()), vec![7.0; rows.len() * 360], "{rows:?}");
            let old = numbers(&keys.narrow(1, 0, 70).unwrap());
            assert_eq!(old, numbers(&filled.0), "{rows:?}");
        }
    }
}
