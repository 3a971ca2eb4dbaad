//! Windows that may be shifted: which token goes where, and which of them see each other.

use candle_core::{Device, Tensor};

use crate::{Result, ToContiguous};

/// How the tokens of a map of one size are divided into windows.
///
/// As the reference does it, the map is filled up below and to the right until windows are full, and rolled up and to
/// the left by `shift`; so windows at the lower and right edge hold tokens from opposite edges, which do not see each
/// other.
#[derive(Debug)]
pub(super) struct Windows {
    /// Tokens of a window.
    tokens: usize,
    /// Windows of a map.
    count: usize,
    /// For each token of all windows the one of the map, `[count * tokens]`; the map's length where it fills up.
    gather: Tensor,
    /// For each token of the map the one of all windows.
    scatter: Tensor,
    /// Whether some tokens fill up.
    filled: bool,
    /// Of each token of all windows in which part of the map it lies; those of different parts do not see each other.
    /// Empty where nothing is shifted.
    regions: Vec<u8>,
}

/// What a token gets instead of its score for one that it does not see, in the reference.
const UNSEEN: f32 = -100.0;

impl Windows {
    pub(super) fn new(map: [usize; 2], side: usize, shift: usize, device: &Device) -> Result<Self> {
        let full = map.map(|length| length.next_multiple_of(side));
        let [down, across] = full.map(|length| length / side);
        let outside = map[0] * map[1];
        let mut gather = Vec::with_capacity(full[0] * full[1]);
        let mut scatter = vec![0; outside];
        let mut regions = Vec::new();
        let region =
            |at: usize, length: usize| u8::from(at + side >= length) + u8::from(at + shift >= length);
        for window in 0..down * across {
            for token in 0..side * side {
                // In the rolled map, then in the map itself.
                let row = window / across * side + token / side;
                let column = window % across * side + token % side;
                let at = [(row + shift) % full[0], (column + shift) % full[1]];
                let inside = at[0] < map[0] && at[1] < map[1];
                let token = if inside { at[0] * map[1] + at[1] } else { outside };
                if inside {
                    scatter[token] = gather.len() as u32;
                }
                gather.push(token as u32);
                if shift > 0 {
                    regions.push(3 * region(row, full[0]) + region(column, full[1]));
                }
            }
        }
        Ok(Self {
            tokens: side * side,
            count: down * across,
            filled: full != map,
            gather: Tensor::from_vec(gather, full[0] * full[1], device)?,
            scatter: Tensor::from_vec(scatter, outside, device)?,
            regions,
        })
    }

    /// `[batch, tokens of the map, dim]` to `[batch * windows, tokens, dim]`, with zeros where windows are filled up.
    pub(super) fn cut(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, _, dim) = x.dims3()?;
        let x = if self.filled { x.pad_with_zeros(1, 0, 1)? } else { x.clone() };
        x.to_contiguous()?.index_select(&self.gather, 1)?.reshape((batch * self.count, self.tokens, dim))
    }

    /// The way back; what filled up is dropped.
    pub(super) fn join(&self, x: &Tensor) -> Result<Tensor> {
        let (windows, tokens, dim) = x.dims3()?;
        let x = x.reshape((windows / self.count, self.count * tokens, dim))?;
        x.to_contiguous()?.index_select(&self.scatter, 1)
    }

    /// What is added to the scores of `batch` maps, where `positions` `[1, heads, tokens, tokens]` is for every window:
    /// `[1 or batch * windows, heads, tokens, tokens]`.
    pub(super) fn bias(&self, positions: &Tensor, batch: usize) -> Result<Tensor> {
        if self.regions.is_empty() {
            return Ok(positions.clone());
        }
        let score = |here: &u8, there: &u8| if here == there { 0.0 } else { UNSEEN };
        let masks = self
            .regions
            .chunks_exact(self.tokens)
            .flat_map(|window| window.iter().flat_map(|here| window.iter().map(|there| score(here, there))));
        let shape = (self.count, 1, self.tokens, self.tokens);
        let masks = Tensor::from_vec(masks.collect::<Vec<f32>>(), shape, positions.device())?;
        let bias = masks.broadcast_add(positions)?;
        if batch == 1 { Ok(bias) } else { bias.repeat((batch, 1, 1, 1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_and_opposite_edges_are_apart() {
        for (map, side, shift) in [([5, 7], 4, 2), ([4, 4], 2, 1), ([2, 3], 4, 2), ([6, 3], 3, 0)] {
            let windows = Windows::new(map, side, shift, &Device::Cpu).unwrap();
            let tokens = map[0] * map[1];
            let x = Tensor::arange(1.0_f32, (2 * tokens + 1) as f32, &Device::Cpu).unwrap();
            let x = x.reshape((2, tokens, 1)).unwrap();
            let again = windows.join(&windows.cut(&x).unwrap()).unwrap();
            let values = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(values(&again), values(&x), "{map:?}");
        }
        // The upper left window of a map of two by two windows has whole neighbours, the lower right one has four.
        let windows = Windows::new([4, 4], 2, 1, &Device::Cpu).unwrap();
        assert_eq!(windows.regions[..4], [0; 4]);
        assert_eq!(windows.regions[12..], [4, 5, 7, 8]);
    }
}
