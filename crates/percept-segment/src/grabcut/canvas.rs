//! A picture as the graph sees it, and what is known of its pixels.

use percept_core::segment::{Image, ObjectPrompt, PointLabel};

use super::mixture::Color;

/// The radius, as a share of the picture's shorter side, of the disc that a point stands for.
const POINT_SHARE: f32 = 0.01;
/// The least such radius, in pixels.
const POINT_RADIUS: f32 = 2.0;

/// A picture, shrunk by a whole factor.
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Row by row.
    pub(super) colors: Vec<Color>,
    /// Pixels of the picture to one of these, along each side.
    pub(super) factor: usize,
}

/// What is known of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ground {
    /// It is not on the object.
    Background,
    /// It is on the object.
    Foreground,
    /// The cut decides.
    Unknown,
}

impl Canvas {
    /// Each pixel is the mean of `factor` by `factor` pixels, fewer at the right and lower border.
    pub(super) fn new(image: &Image, factor: usize) -> Self {
        let (columns, rows) = (image.width as usize, image.height as usize);
        let (width, height) = (columns.div_ceil(factor), rows.div_ceil(factor));
        let mut colors = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let (right, bottom) = (((x + 1) * factor).min(columns), ((y + 1) * factor).min(rows));
                let mut sum = [0_u32; 3];
                for pixel in
                    (y * factor..bottom).flat_map(|y| (x * factor..right).map(move |x| y * columns + x))
                {
                    (0..3).for_each(|channel| sum[channel] += u32::from(image.rgb[3 * pixel + channel]));
                }
                let count = ((right - x * factor) * (bottom - y * factor)) as f32;
                colors.push(sum.map(|sum| sum as f32 / count));
            }
        }
        Self { width, height, colors, factor }
    }

    /// What a prompt says of each pixel: outside the box is background; a point stands for a disc around it, the
    /// later over the earlier; of the rest nothing is known.
    pub(super) fn ground(&self, prompt: &ObjectPrompt) -> Vec<Ground> {
        let scale = 1.0 / self.factor as f32;
        let mut ground = vec![Ground::Unknown; self.colors.len()];
        if let Some(corners) = prompt.bounding_box {
            let [left, top, right, bottom] = corners.map(|corner| corner * scale);
            for (index, ground) in ground.iter_mut().enumerate() {
                let (x, y) = self.center(index);
                if !(left..right).contains(&x) || !(top..bottom).contains(&y) {
                    *ground = Ground::Background;
                }
            }
        }
        let shorter = self.width.min(self.height) as f32;
        let radius = (shorter * POINT_SHARE).max(POINT_RADIUS * scale).max(0.75);
        for point in &prompt.points {
            let (px, py) = (point.x * scale, point.y * scale);
            for y in span(py, radius, self.height) {
                for x in span(px, radius, self.width) {
                    let index = y * self.width + x;
                    let center = self.center(index);
                    if (center.0 - px).hypot(center.1 - py) <= radius {
                        ground[index] = match point.label {
                            PointLabel::Foreground => Ground::Foreground,
                            PointLabel::Background => Ground::Background,
                        };
                    }
                }
            }
        }
        ground
    }

    fn center(&self, index: usize) -> (f32, f32) {
        ((index % self.width) as f32 + 0.5, (index / self.width) as f32 + 0.5)
    }
}

/// The pixels of a line of `length` that may lie within `radius` of a place.
fn span(place: f32, radius: f32, length: usize) -> std::ops::Range<usize> {
    // Conversion to integers cuts at 0.
    (place - radius) as usize..((place + radius) as usize + 1).min(length)
}
