//! Decoded pictures and how they stand.

use serde::{Deserialize, Serialize};

/// A decoded picture: 8-bit sRGB, upright as it is displayed (EXIF orientation applied).
///
/// Coordinates everywhere are pixels of this picture: x to the right, y down, (0, 0) the upper left corner of
/// the first pixel, whose centre is (0.5, 0.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Red, green and blue, row by row: `3 * width * height` bytes.
    pub rgb: Vec<u8>,
    /// Opacity, row by row, where the file has one. Models do not see it.
    pub alpha: Option<Vec<u8>>,
}

impl Image {
    /// An opaque picture.
    ///
    /// # Panics
    /// If `rgb` does not have `3 * width * height` bytes.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Self {
        assert_eq!(rgb.len(), 3 * width as usize * height as usize, "three bytes a pixel");
        Self { width, height, rgb, alpha: None }
    }

    /// Columns and rows.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// How many pixels it has.
    pub fn pixels(&self) -> usize {
        self.width as usize * self.height as usize
    }

    /// The rectangle from (`left`, `top`), `width` by `height` pixels, cut to the picture.
    pub fn crop(&self, left: u32, top: u32, width: u32, height: u32) -> Self {
        let (left, top) = (left.min(self.width), top.min(self.height));
        let (width, height) = (width.min(self.width - left), height.min(self.height - top));
        let cut = |plane: &[u8], channels: usize| {
            let stride = self.width as usize * channels;
            (top as usize..(top + height) as usize)
                .flat_map(|y| {
                    let start = y * stride + left as usize * channels;
                    plane[start..start + width as usize * channels].iter().copied()
                })
                .collect::<Vec<u8>>()
        };
        Self { width, height, rgb: cut(&self.rgb, 3), alpha: self.alpha.as_ref().map(|alpha| cut(alpha, 1)) }
    }
}

/// How a stored picture must be turned to stand upright: the EXIF tag `Orientation`, 1 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Orientation(u8);

impl Default for Orientation {
    fn default() -> Self {
        Self::UPRIGHT
    }
}

impl Orientation {
    /// Stored as displayed.
    pub const UPRIGHT: Self = Self(1);

    /// All eight.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=8).map(Self)
    }

    /// The EXIF number, 1 to 8.
    pub fn value(self) -> u8 {
        self.0
    }

    /// Whether stored and displayed pictures have width and height exchanged.
    pub fn swaps_sides(self) -> bool {
        self.0 >= 5
    }

    /// Where in the stored picture, of `stored` columns and rows, the displayed pixel (x, y) lies.
    pub fn stored_pixel(self, (x, y): (u32, u32), (width, height): (u32, u32)) -> (u32, u32) {
        match self.0 {
            2 => (width - 1 - x, y),
            3 => (width - 1 - x, height - 1 - y),
            4 => (x, height - 1 - y),
            5 => (y, x),
            6 => (y, height - 1 - x),
            7 => (width - 1 - y, height - 1 - x),
            8 => (width - 1 - y, x),
            _ => (x, y),
        }
    }

    /// Columns and rows as displayed of a picture that is stored as `(width, height)`, and the reverse.
    pub fn turned(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.swaps_sides() { (height, width) } else { (width, height) }
    }
}

impl TryFrom<u8> for Orientation {
    type Error = String;

    fn try_from(value: u8) -> Result<Self, Self::Error> {
        match value {
            // What cameras write for "unknown".
            0 => Ok(Self::UPRIGHT),
            1..=8 => Ok(Self(value)),
            _ => Err(format!("{value} is no EXIF orientation; they are 1 to 8")),
        }
    }
}

impl From<Orientation> for u8 {
    fn from(orientation: Orientation) -> Self {
        orientation.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the EXIF 2.3 standard: which stored row and column is the visual top and left.
    #[test]
    fn the_upper_left_pixel_is_where_exif_says() {
        let stored = (5, 3);
        let corners = [(0, 0), (4, 0), (4, 2), (0, 2), (0, 0), (0, 2), (4, 2), (4, 0)];
        for (orientation, corner) in Orientation::all().zip(corners) {
            assert_eq!(orientation.stored_pixel((0, 0), stored), corner, "{orientation:?}");
        }
        // 6 is a camera turned to the right: what is shown going down lies going right in the file.
        assert_eq!(Orientation(6).stored_pixel((0, 1), stored), (1, 2));
        assert_eq!(Orientation(8).stored_pixel((0, 1), stored), (3, 0));
    }

    #[test]
    fn every_stored_pixel_is_shown_once() {
        let stored = (5, 3);
        for orientation in Orientation::all() {
            let (width, height) = orientation.turned(stored);
            let mut seen: Vec<_> = (0..height)
                .flat_map(|y| (0..width).map(move |x| orientation.stored_pixel((x, y), stored)))
                .collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 15, "{orientation:?}");
        }
    }

    #[test]
    fn a_crop_is_cut_to_the_picture() {
        let image = Image::new(3, 2, (0..18).collect());
        let cut = image.crop(1, 1, 9, 9);
        assert_eq!((cut.size(), cut.rgb), ((2, 1), vec![12, 13, 14, 15, 16, 17]));
        assert_eq!(image.crop(7, 7, 2, 2).size(), (0, 0));
    }
}
