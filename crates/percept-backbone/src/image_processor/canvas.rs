//! Where the pixels of a network's input lie in the picture.

/// How a network's input lies over a picture: the way in and the way back of coordinates.
///
/// Coordinates are pixels, x to the right and y down, with the corners of pixels at whole numbers (as in
/// [`percept_core::segment::Image`]); sizes are columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canvas {
    /// The size of the picture.
    pub original: (u32, u32),
    /// The size of the whole picture after resizing.
    pub resized: (u32, u32),
    /// Where the canvas begins in the resized picture, left and top: above 0 where it was cut off, below where a
    /// border stands before it.
    pub offset: (i64, i64),
    /// The size of the canvas: what the network sees, borders included.
    pub size: (u32, u32),
}

impl Canvas {
    /// A point of the picture on the canvas. It lies outside of it where the point was cut off.
    pub fn to_canvas(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [
            to(x, self.original.0, self.resized.0, self.offset.0),
            to(y, self.original.1, self.resized.1, self.offset.1),
        ]
    }

    /// A point of the canvas in the picture. It lies outside of it where the canvas has a border.
    pub fn from_canvas(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [
            from(x, self.original.0, self.resized.0, self.offset.0),
            from(y, self.original.1, self.resized.1, self.offset.1),
        ]
    }

    /// A box (left, top, right, bottom) of the picture on the canvas.
    pub fn box_to_canvas(&self, [left, top, right, bottom]: [f32; 4]) -> [f32; 4] {
        let ([left, top], [right, bottom]) = (self.to_canvas([left, top]), self.to_canvas([right, bottom]));
        [left, top, right, bottom]
    }

    /// A box (left, top, right, bottom) of the canvas in the picture.
    pub fn box_from_canvas(&self, [left, top, right, bottom]: [f32; 4]) -> [f32; 4] {
        let ([left, top], [right, bottom]) =
            (self.from_canvas([left, top]), self.from_canvas([right, bottom]));
        [left, top, right, bottom]
    }

    /// Left, top, right and bottom of the part of the canvas that shows the picture; the rest is border.
    pub fn window(&self) -> [u32; 4] {
        let axis = |resized: u32, offset: i64, size: u32| {
            let clamp = |at: i64| at.clamp(0, i64::from(size)) as u32;
            (clamp(-offset), clamp(i64::from(resized) - offset))
        };
        let (left, right) = axis(self.resized.0, self.offset.0, self.size.0);
        let (top, bottom) = axis(self.resized.1, self.offset.1, self.size.1);
        [left, top, right, bottom]
    }
}

// In double precision, so that a point in a picture of any size comes back to where it was.
fn to(at: f32, original: u32, resized: u32, offset: i64) -> f32 {
    (f64::from(at) * f64::from(resized) / f64::from(original) - offset as f64) as f32
}

fn from(at: f32, original: u32, resized: u32, offset: i64) -> f32 {
    ((f64::from(at) + offset as f64) * f64::from(original) / f64::from(resized)) as f32
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Canvases of all shapes, each with a source of more numbers.
    fn canvases() -> impl Iterator<Item = (Canvas, ChaCha8Rng)> {
        (0..2000).map(|seed| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut size = || (random.random_range(1..6000), random.random_range(1..6000));
            let (original, resized, size) = (size(), size(), size());
            let offset = (random.random_range(-900..900), random.random_range(-900..900));
            (Canvas { original, resized, offset, size }, random)
        })
    }

    #[test]
    fn points_come_back() {
        // An f32 on the canvas is exact to a 2^-23rd of the farthest coordinate there, and one in the picture too.
        let exact = |original: u32, resized: u32| {
            let step = (resized as f32 + 900.0) * original as f32 / resized as f32 + original as f32;
            step * 2.0_f32.powi(-23)
        };
        for (canvas, mut random) in canvases() {
            let Canvas { original, resized, .. } = canvas;
            let point = [original.0, original.1].map(|size| random.random::<f32>() * size as f32);
            let [x, y] = canvas.from_canvas(canvas.to_canvas(point));
            assert!((x - point[0]).abs() <= exact(original.0, resized.0), "{canvas:?}: {x} of {point:?}");
            assert!((y - point[1]).abs() <= exact(original.1, resized.1), "{canvas:?}: {y} of {point:?}");
        }
    }

    #[test]
    fn the_corners_of_the_picture_are_those_of_the_window() {
        for (canvas, _) in canvases() {
            let whole = [0.0, 0.0, canvas.original.0 as f32, canvas.original.1 as f32];
            let [left, top, right, bottom] = canvas.box_to_canvas(whole);
            let (width, height) = (canvas.size.0 as f32, canvas.size.1 as f32);
            let clipped = [
                left.clamp(0.0, width),
                top.clamp(0.0, height),
                right.clamp(0.0, width),
                bottom.clamp(0.0, height),
            ];
            assert_eq!(clipped.map(|at| at.round() as u32), canvas.window(), "{canvas:?}");
        }
    }

    #[test]
    fn a_half_sized_picture_in_the_middle() {
        let canvas = Canvas { original: (20, 10), resized: (10, 5), offset: (-3, 1), size: (16, 4) };
        assert_eq!(canvas.to_canvas([4.0, 6.0]), [5.0, 2.0]);
        assert_eq!(canvas.box_from_canvas([3.0, 0.0, 13.0, 4.0]), [0.0, 2.0, 20.0, 10.0]);
        assert_eq!(canvas.window(), [3, 0, 13, 4]);
    }
}
