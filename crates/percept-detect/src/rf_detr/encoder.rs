//! DINOv2 in windows (`RfDetrDinov2Backbone`).

use percept_backbone::vit::Vit;
use percept_backbone::{
    EngineError, Result, Tensor, Weights, WeightsError, window_partition, window_unpartition,
};

use super::config::Backbone;

/// A Vision Transformer whose image is cut into windows: most layers look within each window, the others at all of them.
/// Every window has a class token of its own.
#[derive(Debug)]
pub(super) struct Encoder {
    vit: Vit,
    /// Windows along a side.
    windows: usize,
    /// Behind how many layers a map is taken, in ascending order.
    stages: Vec<usize>,
    /// By layer.
    windowed: Vec<bool>,
}

impl Encoder {
    pub(super) fn load(weights: &Weights, backbone: &Backbone) -> Result<Self, WeightsError> {
        Ok(Self {
            vit: Vit::load(weights, &backbone.vit, &backbone.names)?,
            windows: backbone.windows,
            stages: backbone.stages.clone(),
            windowed: backbone.windowed.clone(),
        })
    }

    /// Images `[batch, 3, height, width]` to maps `[batch, rows, columns, dim]`, those of all stages one behind the other
    /// in the channels.
    pub(super) fn forward(&self, pixel_values: &Tensor) -> Result<Tensor> {
        let (batch, _, height, width) = pixel_values.dims4()?;
        let grid = self.vit.grid([height, width]);
        if grid.iter().any(|patches| !patches.is_multiple_of(self.windows)) {
            let windows = self.windows;
            let message = format!("{grid:?} patches do not divide into {windows} windows a side");
            return Err(EngineError::Msg(message));
        }
        let mut x = self.cut(&self.vit.embed(pixel_values)?, grid)?;
        let (count, tokens, dim) = x.dims3()?;
        let mut maps = Vec::with_capacity(self.stages.len());
        for layer in 0..=self.windowed.len() {
            if self.stages.contains(&layer) {
                maps.push(self.join(&self.vit.normalise(&x)?, grid)?);
            }
            x = match self.windowed.get(layer) {
                None => break,
                Some(true) => self.vit.layer(layer, &x, grid)?,
                Some(false) => {
                    let whole = x.reshape((batch, count / batch * tokens, dim))?;
                    self.vit.layer(layer, &whole, grid)?.reshape((count, tokens, dim))?
                }
            };
        }
        Tensor::cat(&maps, 3)
    }

    /// Tokens of images, the class token first, to those of windows: `[batch, 1 + patches, dim]` to `[batch * windows, 1 +
    /// patches of a window, dim]`.
    fn cut(&self, x: &Tensor, [rows, columns]: [usize; 2]) -> Result<Tensor> {
        if self.windows == 1 {
            return Ok(x.clone());
        }
        let (batch, tokens, dim) = x.dims3()?;
        let patches = x.narrow(1, 1, tokens - 1)?;
        // Rows and columns change places here, and not in `join`, as in the reference; of an image that is not square a
        // window is no rectangle.
        let size = [columns / self.windows, rows / self.windows];
        let patches =
            window_partition(&patches.reshape((batch, columns, rows, dim))?, size)?.flatten(1, 2)?;
        let class = x.narrow(1, 0, 1)?.repeat((self.windows * self.windows, 1, 1))?;
        Tensor::cat(&[&class, &patches], 1)
    }

    /// Undoes [`Encoder::cut`] without the class tokens: maps `[batch, rows, columns, dim]`.
    fn join(&self, x: &Tensor, grid: [usize; 2]) -> Result<Tensor> {
        let (count, tokens, dim) = x.dims3()?;
        let [rows, columns] = grid.map(|patches| patches / self.windows);
        let patches = x.narrow(1, 1, tokens - 1)?.reshape((count, rows, columns, dim))?;
        window_unpartition(&patches, grid)
    }
}
