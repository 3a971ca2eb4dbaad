//! A picture to draw on.

use percept_core::segment::Image;

use super::text;

/// A point in the picture's pixels: x to the right, y down; (0.5, 0.5) is the centre of the first pixel.
pub type Point = [f32; 2];

/// The colour of rims.
pub(super) const DARK: [u8; 3] = [16, 16, 16];

/// A picture to draw on. What lies outside of it is not drawn.
pub struct Canvas {
    pub(super) image: Image,
}

impl Canvas {
    /// Over `image`; its opacity is dropped.
    pub fn new(image: &Image) -> Self {
        Self { image: Image { alpha: None, ..image.clone() } }
    }

    /// What has been drawn.
    pub fn into_image(self) -> Image {
        self.image
    }

    /// The width of lines that suits the picture's size, in pixels.
    pub fn line_width(&self) -> f32 {
        (self.side() / 300.0).max(2.0)
    }

    /// The height of letters that suits the picture's size, from ascent to descent, in pixels.
    pub fn text_height(&self) -> f32 {
        (self.side() / 40.0).max(14.0)
    }

    /// How wide the dark rim of anything is, in pixels.
    pub(super) fn rim_width(&self) -> f32 {
        (self.line_width() / 2.0).max(1.0)
    }

    /// The side of a square of as many pixels.
    fn side(&self) -> f32 {
        (self.image.pixels() as f32).sqrt()
    }

    /// A line of `width` with round ends and a dark rim.
    pub fn line(&mut self, from: Point, to: Point, width: f32, color: [u8; 3]) {
        let bounds = [from[0].min(to[0]), from[1].min(to[1]), from[0].max(to[0]), from[1].max(to[1])];
        let along = [to[0] - from[0], to[1] - from[1]];
        let squared = (along[0] * along[0] + along[1] * along[1]).max(1e-12);
        self.rimmed(bounds, width / 2.0, color, |[x, y]| {
            let [x, y] = [x - from[0], y - from[1]];
            let part = ((x * along[0] + y * along[1]) / squared).clamp(0.0, 1.0);
            (x - along[0] * part).hypot(y - along[1] * part)
        });
    }

    /// A disc with a dark rim.
    pub fn disc(&mut self, center: Point, radius: f32, color: [u8; 3]) {
        let bounds = [center[0], center[1], center[0], center[1]];
        self.rimmed(bounds, radius, color, |[x, y]| (x - center[0]).hypot(y - center[1]));
    }

    /// A circle, its line `width` wide, with a dark rim.
    pub fn circle(&mut self, center: Point, radius: f32, width: f32, color: [u8; 3]) {
        let [x, y] = center;
        let bounds = [x - radius, y - radius, x + radius, y + radius];
        self.rimmed(bounds, width / 2.0, color, |[x, y]| {
            ((x - center[0]).hypot(y - center[1]) - radius).abs()
        });
    }

    /// The outline of a box (left, top, right, bottom), its line `width` wide, with a dark rim.
    ///
    /// A box that reaches the picture's edge is moved in so far that its line is seen.
    pub fn rectangle(&mut self, bounds: [f32; 4], width: f32, color: [u8; 3]) {
        let inset = width / 2.0 + self.rim_width();
        let (right, bottom) = (self.image.width as f32 - inset, self.image.height as f32 - inset);
        let [x0, y0, x1, y1] = bounds;
        let bounds = [x0.max(inset), y0.max(inset), x1.min(right), y1.min(bottom)];
        let inside = rounded(bounds, 0.0);
        self.rimmed(bounds, width / 2.0, color, |at| inside(at).abs());
    }

    /// A filled box (left, top, right, bottom) with round corners; `opacity` 0 to 1.
    pub fn plate(&mut self, bounds: [f32; 4], radius: f32, color: [u8; 3], opacity: f32) {
        self.shade(bounds, color, opacity, rounded(bounds, radius));
    }

    /// A line of text whose letters stand on `baseline`, beginning at its x; `height` from ascent to descent.
    pub fn text(&mut self, text: &str, baseline: Point, height: f32, color: [u8; 3]) {
        text::glyphs(text, baseline, height, |x, y, coverage| self.blend(x, y, color, coverage));
    }

    /// What is nearer than `reach` by `distance`, and a dark rim around it.
    fn rimmed(&mut self, bounds: [f32; 4], reach: f32, color: [u8; 3], distance: impl Fn(Point) -> f32) {
        let outer = reach + self.rim_width();
        let grown = |by: f32| [bounds[0] - by, bounds[1] - by, bounds[2] + by, bounds[3] + by];
        self.shade(grown(outer), DARK, 0.75, |at| distance(at) - outer);
        self.shade(grown(reach), color, 1.0, |at| distance(at) - reach);
    }

    /// Paints where `distance`, in pixels, is negative; an edge is one pixel soft.
    fn shade(&mut self, bounds: [f32; 4], color: [u8; 3], opacity: f32, distance: impl Fn(Point) -> f32) {
        let limit = |low: f32, high: f32, size: u32| {
            let first = (low - 1.0).floor().clamp(0.0, size as f32) as i32;
            first..((high + 1.0).ceil().clamp(0.0, size as f32) as i32)
        };
        let columns = limit(bounds[0], bounds[2], self.image.width);
        for y in limit(bounds[1], bounds[3], self.image.height) {
            for x in columns.clone() {
                let coverage = (0.5 - distance([x as f32 + 0.5, y as f32 + 0.5])).clamp(0.0, 1.0);
                self.blend(x, y, color, coverage * opacity);
            }
        }
    }

    /// Mixes `color` into a pixel; outside of the picture nothing happens.
    pub(super) fn blend(&mut self, x: i32, y: i32, color: [u8; 3], opacity: f32) {
        let (width, height) = (self.image.width as i32, self.image.height as i32);
        if !(0..width).contains(&x) || !(0..height).contains(&y) || opacity <= 0.0 {
            return;
        }
        let at = 3 * (y as usize * width as usize + x as usize);
        mix(&mut self.image.rgb[at..at + 3], color, opacity);
    }
}

/// Mixes `color` into a pixel.
pub(super) fn mix(pixel: &mut [u8], color: [u8; 3], opacity: f32) {
    for (old, new) in pixel.iter_mut().zip(color) {
        let mixed = f32::from(*old) + (f32::from(new) - f32::from(*old)) * opacity.min(1.0);
        *old = mixed.round() as u8;
    }
}

/// The distance to a box with round corners, negative inside.
fn rounded([x0, y0, x1, y1]: [f32; 4], radius: f32) -> impl Fn(Point) -> f32 {
    let radius = radius.min((x1 - x0) / 2.0).min((y1 - y0) / 2.0).max(0.0);
    let center = [(x0 + x1) / 2.0, (y0 + y1) / 2.0];
    let half = [(x1 - x0) / 2.0 - radius, (y1 - y0) / 2.0 - radius];
    move |[x, y]| {
        let [dx, dy] = [(x - center[0]).abs() - half[0], (y - center[1]).abs() - half[1]];
        dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - radius
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canvas(width: u32, height: u32) -> Canvas {
        Canvas::new(&Image::new(width, height, vec![200; 3 * width as usize * height as usize]))
    }

    fn at(canvas: &Canvas, x: usize, y: usize) -> [u8; 3] {
        let start = 3 * (y * canvas.image.width as usize + x);
        canvas.image.rgb[start..start + 3].try_into().unwrap()
    }

    #[test]
    fn a_line_is_where_it_should_be_and_has_a_rim() {
        let mut canvas = canvas(20, 11);
        canvas.line([3.0, 5.5], [17.0, 5.5], 3.0, [250, 0, 0]);
        assert_eq!(at(&canvas, 10, 5), [250, 0, 0]);
        assert_eq!(at(&canvas, 10, 4), [250, 0, 0]);
        assert!(at(&canvas, 10, 3)[0] < 100, "{:?}", at(&canvas, 10, 3));
        assert_eq!(at(&canvas, 10, 0), [200; 3]);
        assert_eq!(at(&canvas, 19, 10), [200; 3]);
    }

    #[test]
    fn a_disc_has_the_area_of_a_disc() {
        let mut canvas = canvas(60, 60);
        canvas.shade([0.0, 0.0, 60.0, 60.0], [0; 3], 1.0, |[x, y]| (x - 30.0).hypot(y - 29.7) - 20.0);
        let painted: f64 =
            canvas.image.rgb.iter().step_by(3).map(|value| 1.0 - f64::from(*value) / 200.0).sum();
        assert!((painted - 20.0_f64.powi(2) * std::f64::consts::PI).abs() < 3.0, "{painted}");
    }

    #[test]
    fn what_lies_outside_is_not_drawn() {
        let mut canvas = canvas(8, 8);
        canvas.disc([-50.0, 4.0], 9.0, [0; 3]);
        canvas.plate([-9.0, -9.0, -1.5, -1.5], 2.0, [0; 3], 1.0);
        canvas.line([f32::NAN, 1.0], [f32::INFINITY, 2.0], 3.0, [0; 3]);
        assert_eq!(canvas.into_image().rgb, vec![200; 192]);
    }

    #[test]
    fn a_box_at_the_edge_is_seen() {
        let mut canvas = canvas(30, 30);
        canvas.rectangle([-5.0, -5.0, 40.0, 40.0], 2.0, [0, 250, 0]);
        assert!((0..30).any(|x| at(&canvas, x, 15) == [0, 250, 0]));
        assert_eq!(at(&canvas, 15, 15), [200; 3]);
    }
}
