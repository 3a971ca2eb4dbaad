//! The surroundings of a mask, and how far from its edge a pixel lies.

use percept_core::segment::Mask;

/// Farther than any pixel; squared it stays a number.
const FAR: f32 = 1e9;

/// A rectangle of a picture that holds a mask and a margin, as far as the picture goes.
pub(super) struct Region {
    /// Its upper left corner in the picture.
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) height: usize,
    /// One byte a pixel in rows: 1 inside the mask, 0 outside.
    pub(super) inside: Vec<u8>,
}

impl Region {
    /// `None` for a mask without pixels.
    pub(super) fn around(mask: &Mask, margin: u32) -> Option<Self> {
        let [x0, y0, x1, y1] = mask.bounding_box()?;
        let (left, top) = (x0.saturating_sub(margin) as usize, y0.saturating_sub(margin) as usize);
        let right = x1.saturating_add(margin).min(mask.width()) as usize;
        let bottom = y1.saturating_add(margin).min(mask.height()) as usize;
        let (width, height, columns) = (right - left, bottom - top, mask.width() as usize);
        let mut inside = vec![0; width * height];
        mask.paint(|index| inside[(index / columns - top) * width + index % columns - left] = 1);
        Some(Self { left, top, width, height, inside })
    }

    /// How far each pixel's centre lies from the mask's edge, in pixels, negative inside; smoothed, so that the
    /// stairs of slanted edges do not show.
    ///
    /// Where the mask reaches the end of the region, it goes on beyond: the picture's border is no edge.
    pub(super) fn edge_distances(&self) -> Vec<f32> {
        let outside = self.distances(1);
        let mut signed = self.distances(0);
        for (inside, outside) in signed.iter_mut().zip(outside) {
            *inside = if outside > 0.0 { outside - 0.5 } else { 0.5 - *inside };
        }
        smooth(&mut signed, self.width, self.height, &[0.25, 0.5, 0.25]);
        signed
    }

    /// How much of a Gaussian around each pixel is inside the mask, 0 to 1.
    pub(super) fn softened(&self, sigma: f32) -> Vec<f32> {
        let mut values: Vec<f32> = self.inside.iter().map(|inside| f32::from(*inside)).collect();
        smooth(&mut values, self.width, self.height, &gaussian(sigma));
        values
    }

    /// The Euclidean distance of each pixel to the nearest one that has `value`: Felzenszwalb and Huttenlocher,
    /// "Distance Transforms of Sampled Functions", 2012.
    fn distances(&self, value: u8) -> Vec<f32> {
        let mut squared: Vec<f32> =
            self.inside.iter().map(|inside| if *inside == value { 0.0 } else { FAR }).collect();
        let mut envelope = Envelope::default();
        let mut column = vec![0.0; self.height];
        for x in 0..self.width {
            for (y, value) in column.iter_mut().enumerate() {
                *value = squared[y * self.width + x];
            }
            envelope.lower(&mut column);
            for (y, value) in column.iter().enumerate() {
                squared[y * self.width + x] = *value;
            }
        }
        squared.chunks_exact_mut(self.width).for_each(|row| envelope.lower(row));
        squared.iter().map(|squared| squared.sqrt()).collect()
    }
}

/// The lower envelope of the parabolas that stand on a row of values.
#[derive(Default)]
struct Envelope {
    /// Where the parabolas stand that are lowest somewhere, and from where on each is.
    feet: Vec<(usize, f32)>,
    heights: Vec<f32>,
}

impl Envelope {
    /// Replaces each value by the envelope at its place.
    fn lower(&mut self, values: &mut [f32]) {
        self.heights.clear();
        self.heights.extend_from_slice(values);
        self.feet.clear();
        let lifted = |at: usize, heights: &[f32]| f64::from(heights[at]) + (at * at) as f64;
        for at in (0..values.len()).filter(|at| values[*at] < FAR) {
            let mut from = f32::NEG_INFINITY;
            while let Some((last, since)) = self.feet.last().copied() {
                let rise = lifted(at, &self.heights) - lifted(last, &self.heights);
                from = (rise / (2 * (at - last)) as f64) as f32;
                if from > since {
                    break;
                }
                self.feet.pop();
                from = f32::NEG_INFINITY;
            }
            self.feet.push((at, from));
        }
        if self.feet.is_empty() {
            return;
        }
        let mut foot = 0;
        for (at, value) in values.iter_mut().enumerate() {
            while self.feet.get(foot + 1).is_some_and(|(_, from)| *from < at as f32) {
                foot += 1;
            }
            let stands = self.feet[foot].0;
            *value = (at.abs_diff(stands) as f32).powi(2) + self.heights[stands];
        }
    }
}

/// Of three standard deviations to either side; its sum is 1.
fn gaussian(sigma: f32) -> Vec<f32> {
    let reach = (3.0 * sigma).ceil() as i32;
    let weights: Vec<f32> = (-reach..=reach).map(|at| (-0.5 * (at as f32 / sigma).powi(2)).exp()).collect();
    let sum: f32 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// Convolves rows, then columns; what lies beyond the border is as the border is.
fn smooth(values: &mut [f32], width: usize, height: usize, weights: &[f32]) {
    let reach = weights.len() / 2;
    let nearest = |at: usize, shift: usize, size: usize| (at + shift).saturating_sub(reach).min(size - 1);
    let mut old = Vec::new();
    for row in values.chunks_exact_mut(width) {
        old.clear();
        old.extend_from_slice(row);
        for (x, value) in row.iter_mut().enumerate() {
            *value = weights.iter().enumerate().map(|(k, weight)| weight * old[nearest(x, k, width)]).sum();
        }
    }
    let old = values.to_vec();
    for (y, row) in values.chunks_exact_mut(width).enumerate() {
        row.fill(0.0);
        for (k, weight) in weights.iter().enumerate() {
            let start = nearest(y, k, height) * width;
            for (value, old) in row.iter_mut().zip(&old[start..start + width]) {
                *value += weight * old;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob() -> Mask {
        // Deterministic, with holes and single pixels.
        let pixels: Vec<u8> = (0..19 * 13_u32)
            .map(|at| {
                let (x, y) = (at % 19, at / 19);
                u8::from((x + 2 * y) % 11 < 5 && x > 2 && y > 1 && x < 17 || (x, y) == (9, 7))
            })
            .collect();
        Mask::from_pixels(19, 13, &pixels)
    }

    #[test]
    fn distances_are_those_of_a_plain_search() {
        let region = Region::around(&blob(), 2).unwrap();
        assert_eq!((region.left, region.top), (1, 0));
        for value in [0, 1] {
            let got = region.distances(value);
            for (at, got) in got.iter().enumerate() {
                let (x, y) = ((at % region.width) as f32, (at / region.width) as f32);
                let apart = |other: usize| {
                    (x - (other % region.width) as f32).hypot(y - (other / region.width) as f32)
                };
                let want = (0..region.inside.len())
                    .filter(|other| region.inside[*other] == value)
                    .map(apart)
                    .fold(f32::INFINITY, f32::min);
                assert!((got - want).abs() < 1e-4, "{at}: {got} and not {want}");
            }
        }
    }

    #[test]
    fn the_border_of_the_picture_is_no_edge() {
        let all = Mask::from_pixels(6, 5, &[1; 30]);
        let region = Region::around(&all, 3).unwrap();
        assert!(region.edge_distances().iter().all(|distance| *distance < -1e3));
        assert!(region.softened(1.0).iter().all(|value| (value - 1.0).abs() < 1e-5));
        assert!(Region::around(&Mask::empty(6, 5), 3).is_none());
    }

    #[test]
    fn a_straight_edge_is_at_zero() {
        let pixels: Vec<u8> = (0..40).map(|at| u8::from(at % 10 >= 5)).collect();
        let region = Region::around(&Mask::from_pixels(10, 4, &pixels), 9).unwrap();
        let distances = region.edge_distances();
        let want = [4.5, 3.5, 2.5, 1.5, 0.5, -0.5, -1.5, -2.5, -3.5, -4.5];
        for x in 1..9 {
            assert!((distances[10 + x] - want[x]).abs() < 1e-5, "{:?}", &distances[..10]);
        }
    }
}
