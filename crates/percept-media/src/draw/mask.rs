//! Masks over pictures.

use percept_core::segment::Mask;

use super::canvas::{Canvas, DARK, Point};
use super::field::Region;

/// How much of a mask's colour lies over the picture inside of it.
const FILL: f32 = 0.4;

/// A mask that is ready to be drawn.
pub(super) struct Shape {
    region: Region,
    distances: Vec<f32>,
}

impl Shape {
    /// `None` for a mask without pixels. Lines up to `reach` pixels beyond its edge will be drawn.
    pub(super) fn new(mask: &Mask, reach: f32) -> Option<Self> {
        let region = Region::around(mask, reach.ceil() as u32 + 2)?;
        let distances = region.edge_distances();
        Some(Self { region, distances })
    }

    /// The colour, translucent.
    pub(super) fn fill(&self, canvas: &mut Canvas, color: [u8; 3]) {
        self.paint(canvas, color, |distance| FILL * coverage(distance));
    }

    /// A dark line around it.
    pub(super) fn rim(&self, canvas: &mut Canvas) {
        let reach = canvas.rim_width();
        self.paint(canvas, DARK, |distance| 0.75 * (coverage(distance - reach) - coverage(distance)));
    }

    /// A line of its colour along its edge, on the inside.
    pub(super) fn outline(&self, canvas: &mut Canvas, width: f32, color: [u8; 3]) {
        self.paint(canvas, color, |distance| coverage(distance) - coverage(distance + width));
    }

    /// The point that is deepest inside, and how deep it is: where a label covers the least else.
    pub(super) fn deepest(&self) -> (Point, f32) {
        let depth = |at: &usize| -self.distances[*at];
        let at = (0..self.distances.len()).max_by(|a, b| depth(a).total_cmp(&depth(b))).unwrap_or_default();
        let (x, y) = (self.region.left + at % self.region.width, self.region.top + at / self.region.width);
        ([x as f32 + 0.5, y as f32 + 0.5], depth(&at))
    }

    fn paint(&self, canvas: &mut Canvas, color: [u8; 3], opacity: impl Fn(f32) -> f32) {
        for (row, distances) in self.distances.chunks_exact(self.region.width).enumerate() {
            for (column, distance) in distances.iter().enumerate() {
                let (x, y) = (self.region.left + column, self.region.top + row);
                canvas.blend(x as i32, y as i32, color, opacity(*distance));
            }
        }
    }
}

/// How much of a pixel is inside whose centre has this distance from the edge.
fn coverage(distance: f32) -> f32 {
    (0.5 - distance).clamp(0.0, 1.0)
}
