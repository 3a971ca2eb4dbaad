//! The part of a picture that shows one subject, as transformers 5.23's `VitPoseImageProcessor` cuts it: unbiased data
//! processing (Huang et al. 2020, arXiv 1911.07524).
//!
//! In this file as in the reference, whole numbers are the centres of pixels. A box is taken as it is: what its corners
//! count does not matter, since the crop is a quarter larger.

use percept_core::pose::{Image, Subject};
use percept_core::{Error, Result};

/// What is added around a box, as a factor.
const PADDING: f32 = 1.25;
/// The unit of the reference's sizes; it multiplies and divides by it, which rounds.
const UNIT: f32 = 200.0;

/// Where a crop lies in its picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Crop {
    /// x and y.
    centre: [f32; 2],
    /// Width and height, padded, in the ratio of the network's input.
    extent: [f32; 2],
    /// Columns and rows of the network's input.
    size: [usize; 2],
}

impl Crop {
    /// Around a subject of `image`, its number being `index`, for a network whose input has `size` columns and rows.
    ///
    /// # Errors
    /// [`Error::Argument`]: the box is not finite, has no extent, or does not touch the picture.
    pub(crate) fn around(index: usize, subject: &Subject, image: &Image, size: [usize; 2]) -> Result<Self> {
        let corners = subject.bounding_box;
        let [left, top, right, bottom] = corners.map(f64::from);
        let wrong = |what: &str| Error::Argument {
            message: format!("box {} (left, top, right, bottom: {corners:?}) {what}", index + 1),
            hint: Some("a box has left < right and top < bottom, in pixels of the displayed picture".into()),
        };
        if corners.iter().any(|at| !at.is_finite()) {
            return Err(wrong("is not made of numbers"));
        }
        if left >= right || top >= bottom {
            return Err(wrong("has no extent"));
        }
        let (columns, rows) = image.size();
        if right <= 0.0 || bottom <= 0.0 || left >= f64::from(columns) || top >= f64::from(rows) {
            return Err(wrong(&format!("lies outside of the picture, which is {columns} x {rows}")));
        }
        let aspect = size[0] as f64 / size[1] as f64;
        let (mut width, mut height) = (right - left, bottom - top);
        let centre = [left + width * 0.5, top + height * 0.5].map(|at| at as f32);
        if width > aspect * height {
            height = width / aspect;
        } else if width < aspect * height {
            width = height * aspect;
        }
        let padded = |side: f64| (side / f64::from(UNIT)) as f32 * PADDING * UNIT;
        let extent = [padded(width), padded(height)];
        if extent.iter().any(|side| !(1e-3..=1e7).contains(side)) {
            return Err(wrong("is too small or too large"));
        }
        Ok(Self { centre, extent, size })
    }

    /// The area of the crop in the picture: what mmpose takes for the size of a subject.
    pub(crate) fn area(&self) -> f32 {
        self.extent[0] * self.extent[1]
    }

    /// The picture that the network sees, bilinear and rounded to bytes; black where there is no picture.
    pub(crate) fn cut(&self, image: &Image) -> Image {
        let [columns, rows] = [0, 1].map(|axis| self.taps(axis, [image.width, image.height][axis]));
        let stride = 3 * image.width as usize;
        let mut rgb = Vec::with_capacity(3 * columns.len() * rows.len());
        for row in &rows {
            for column in &columns {
                let (Some(row), Some(column)) = (row, column) else {
                    rgb.extend([0; 3]);
                    continue;
                };
                let [first, second] = [row.near, row.far].map(|y| &image.rgb[y * stride..][..stride]);
                for channel in 0..3 {
                    let value = |line: &[u8], x: usize| f64::from(line[3 * x + channel]);
                    // scipy's sum: each pixel times its two weights, row by row.
                    let sum = value(first, column.near) * row.keep * column.keep
                        + value(first, column.far) * row.keep * column.take
                        + value(second, column.near) * row.take * column.keep
                        + value(second, column.far) * row.take * column.take;
                    rgb.push((sum + 0.5) as u8);
                }
            }
        }
        Image::new(columns.len() as u32, rows.len() as u32, rgb)
    }

    /// What each column (axis 0) or row (axis 1) of the crop is made of, in a picture of `length` of them.
    fn taps(&self, axis: usize, length: u32) -> Vec<Option<Tap>> {
        let (centre, extent, size) = (self.centre[axis], self.extent[axis], self.size[axis]);
        // From the picture to the crop, in the reference's precision: f64, kept as f32.
        let scale = (size as f64 - 1.0) / f64::from(extent);
        let shift = scale * f64::from(-0.5 * (centre * 2.0) + 0.5 * extent);
        let (scale, shift) = (scale as f32, shift as f32);
        // And back.
        let step = 1.0 / f64::from(scale);
        let start = -(f64::from(shift) * step);
        let last = f64::from(length) - 1.0;
        let tap = |index: usize| {
            let at = index as f64 * step + start;
            if !(0.0..=last).contains(&at) {
                return None;
            }
            let near = at.floor();
            let take = at - near;
            let (near, far) = (near as usize, (near + 1.0).min(last) as usize);
            Some(Tap { near, far, keep: 1.0 - take, take })
        };
        (0..size).map(tap).collect()
    }

    /// A place in a heat map of `[rows, columns]` as one in the picture.
    pub(crate) fn to_picture(self, [x, y]: [f32; 2], [rows, columns]: [usize; 2]) -> [f32; 2] {
        let along = |at: f32, axis: usize, size: usize| {
            let (centre, extent) = (self.centre[axis], self.extent[axis]);
            at * (extent / (size as f32 - 1.0)) + centre - extent * 0.5
        };
        [along(x, 0, columns), along(y, 1, rows)]
    }
}

/// Two neighbours and their weights.
#[derive(Clone, Copy, Debug)]
struct Tap {
    near: usize,
    far: usize,
    keep: f64,
    take: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(bounding_box: [f32; 4]) -> Result<Crop> {
        let image = Image::new(8, 6, vec![200; 8 * 6 * 3]);
        Crop::around(0, &Subject { bounding_box, score: 1.0, label: None }, &image, [12, 16])
    }

    #[test]
    fn a_box_that_shows_nothing_is_an_error() {
        for (bounding_box, says) in [
            ([f32::NAN, 0.0, 4.0, 4.0], "numbers"),
            ([0.0, 0.0, f32::INFINITY, 4.0], "numbers"),
            ([2.0, 2.0, 2.0, 5.0], "no extent"),
            ([5.0, 2.0, 2.0, 5.0], "no extent"),
            ([8.0, 0.0, 9.0, 5.0], "outside"),
            ([-3.0, -3.0, 0.0, 5.0], "outside"),
            ([0.0, 6.0, 5.0, 7.0], "outside"),
            ([-f32::MAX, -f32::MAX, f32::MAX, f32::MAX], "large"),
            ([0.0, 0.0, f32::MIN_POSITIVE, f32::MIN_POSITIVE], "small"),
        ] {
            let error = around(bounding_box).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_box_beyond_the_picture_is_black_there() {
        let image = Image::new(8, 6, vec![200; 8 * 6 * 3]);
        let cut = around([-4.0, -2.0, 6.0, 5.0]).unwrap().cut(&image);
        assert_eq!(cut.size(), (12, 16));
        assert_eq!((cut.rgb[0], cut.rgb[3 * (8 * 12 + 8)]), (0, 200));
    }
}
