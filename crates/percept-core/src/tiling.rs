//! How a long side is divided into tiles that overlap.

use crate::{Error, Result};

/// Tiles of one size of which neighbours share a strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    tile: u32,
    overlap: u32,
}

/// A tile along one side, as first pixel and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// What is seen in it.
    pub seen: (u32, u32),
    /// What is nobody else's: up to the middle of what it shares with its neighbours.
    pub own: (u32, u32),
}

impl Tiling {
    /// Tiles of `tile` by `tile` pixels of which neighbours share `overlap` or a little more.
    ///
    /// # Errors
    /// [`Error::Argument`] where the overlap is not smaller than half a tile, or a tile has less than 32 pixels.
    pub fn new(tile: u32, overlap: u32) -> Result<Self> {
        if tile < 32 || u64::from(overlap) * 2 >= u64::from(tile) {
            return Err(Error::Argument {
                message: format!("tiles of {tile} pixels cannot share {overlap}"),
                hint: Some("a tile has at least 32 pixels, and shares less than half of them".into()),
            });
        }
        Ok(Self { tile, overlap })
    }

    /// Pixels along a side of a tile.
    pub fn tile(self) -> u32 {
        self.tile
    }

    /// The tiles along a side of that many pixels: as few as cover it, evenly spread.
    pub fn spans(self, length: u32) -> Vec<Span> {
        let steps = length.saturating_sub(self.tile).div_ceil(self.tile - self.overlap);
        let spare = u64::from(length.saturating_sub(self.tile));
        let start = |step: u32| (spare * u64::from(step) / u64::from(steps.max(1))) as u32;
        // Between the start of a tile and the end of the one before it.
        let border = |step: u32| match step {
            0 => 0,
            step if step > steps => length,
            step => (start(step - 1) + self.tile).midpoint(start(step)),
        };
        let span = |step: u32| Span {
            seen: (start(step), self.tile.min(length)),
            own: (border(step), border(step + 1) - border(step)),
        };
        (0..=steps).map(span).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_a_side_and_own_each_pixel_once() {
        for (tile, overlap) in [(32, 0), (100, 49), (64, 8)] {
            let tiling = Tiling::new(tile, overlap).unwrap();
            for length in [1, 31, 32, 33, 64, 99, 100, 101, 1000, 4321] {
                let spans = tiling.spans(length);
                let mut next = 0;
                for Span { seen, own } in &spans {
                    assert_eq!(own.0, next, "{tile} {overlap} {length}");
                    assert!(seen.0 <= own.0 && own.0 + own.1 <= seen.0 + seen.1);
                    next = own.0 + own.1;
                }
                assert_eq!(next, length);
                let shared = |pair: &[Span]| pair[0].seen.0 + pair[0].seen.1 - pair[1].seen.0;
                assert!(spans.windows(2).all(|pair| shared(pair) >= overlap), "{tile} {overlap} {length}");
            }
        }
        assert!(Tiling::new(31, 0).is_err());
        assert!(Tiling::new(64, 32).is_err());
        assert!(Tiling::new(64, u32::MAX).is_err());
    }
}
