//! How a picture lies on the model's square canvas.

use super::config::Family;

/// A picture on a canvas, upper left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Canvas {
    /// Columns and rows of the picture.
    pub(crate) picture: [usize; 2],
    /// Columns and rows that it takes on the canvas.
    pub(crate) resized: [usize; 2],
    /// Side of the canvas.
    pub(crate) side: usize,
    /// Whether logits are first brought to the canvas and cut, as SAM does, or to the picture at once, as SAM 2 does,
    /// whose pictures fill the canvas.
    pub(crate) family: Family,
}

impl Canvas {
    /// SAM keeps the proportions and fits the longer side, SAM 2 stretches both (`_get_preprocess_shape` of
    /// `SamImageProcessor`; `Sam2ImageProcessor` has a size of both sides).
    pub(crate) fn new(width: u32, height: u32, side: usize, family: Family) -> Self {
        let picture = [width as usize, height as usize];
        let resized = match family {
            Family::Sam => {
                let scale = side as f64 / f64::from(width.max(height).max(1));
                picture.map(|length| ((length as f64 * scale + 0.5) as usize).max(1))
            }
            Family::Sam2 => [side; 2],
        };
        Self { picture, resized, side, family }
    }

    /// A place (x, y) of the picture on the canvas.
    pub(crate) fn place(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let factor = |axis: usize| self.resized[axis] as f64 / self.picture[axis].max(1) as f64;
        [(f64::from(x) * factor(0)) as f32, (f64::from(y) * factor(1)) as f32]
    }

    /// A box (left, top, right, bottom) of the picture on the canvas.
    pub(crate) fn place_box(&self, [left, top, right, bottom]: [f32; 4]) -> [f32; 4] {
        let ([left, top], [right, bottom]) = (self.place([left, top]), self.place([right, bottom]));
        [left, top, right, bottom]
    }
}
