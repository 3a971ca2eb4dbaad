//! From pixels to one token a patch.

use candle_core::Tensor;

use crate::linear::Linear;
use crate::weights::{Weights, WeightsError};
use crate::{Result, ToContiguous};

/// A convolution whose kernel is as large as its stride: a matrix product over the pixels of each
/// patch.
#[derive(Debug)]
pub(super) struct Patches {
    pixels: Linear,
    channels: usize,
    patch: usize,
    padding: usize,
}

impl Patches {
    /// Loads PyTorch's `weight` `[dim, channels, patch, patch]` and, where it is there, `bias` `[dim]`.
    pub(super) fn load(
        weights: &Weights,
        [dim, channels]: [usize; 2],
        patch: usize,
        padding: usize,
    ) -> Result<Self, WeightsError> {
        let weight = weights.get("weight", &[dim, channels, patch, patch])?;
        let bias = if weights.has("bias") { Some(weights.get("bias", &[dim])?) } else { None };
        let pixels = weight
            .reshape((dim, channels * patch * patch))
            .and_then(|weight| Linear::new(&weight, bias, weights.precision()))
            .map_err(WeightsError::Engine)?;
        Ok(Self { pixels, channels, patch, padding })
    }

    /// Rows and columns of patches in an image of that height and width. Pixels at the lower and
    /// right edge that fill no patch are left out.
    pub(super) fn grid(&self, image: [usize; 2]) -> [usize; 2] {
        image.map(|side| (side + 2 * self.padding) / self.patch)
    }

    /// `[batch, channels, height, width]` to `[batch, patches, dim]`, row by row, plus `positions`
    /// `[patches, dim]`.
    pub(super) fn forward(&self, image: &Tensor, positions: &Tensor) -> Result<Tensor> {
        let rows = self.unfold(image)?;
        let (batch, patches, _) = rows.dims3()?;
        let positions = positions.broadcast_as((batch, patches, positions.dim(1)?))?;
        self.pixels.forward_onto(&rows, &positions)
    }

    /// `[batch, patches, channels * patch * patch]`: the pixels of each patch, channel by channel.
    fn unfold(&self, image: &Tensor) -> Result<Tensor> {
        let (batch, channels, height, width) = image.dims4()?;
        if channels != self.channels {
            candle_core::bail!("an image of {} channels is wanted, not of {channels}", self.channels);
        }
        let [rows, columns] = self.grid([height, width]);
        if rows * columns == 0 {
            candle_core::bail!("an image of {height} by {width} pixels holds no patch of {}", self.patch);
        }
        let image = match self.padding {
            0 => image.clone(),
            zeros => image.pad_with_zeros(2, zeros, zeros)?.pad_with_zeros(3, zeros, zeros)?,
        };
        let patch = self.patch;
        image
            .narrow(2, 0, rows * patch)?
            .narrow(3, 0, columns * patch)?
            .to_contiguous()?
            .reshape(&[batch, channels, rows, patch, columns, patch][..])?
            .permute([0, 2, 4, 1, 3, 5])?
            .to_contiguous()?
            .reshape((batch, rows * columns, channels * patch * patch))
    }
}
