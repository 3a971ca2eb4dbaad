//! Outlines of masks.
//!
//! A ring goes along the edges between pixels, so its corners are whole numbers: pixel (x, y) covers the square from
//! (x, y) to (x + 1, y + 1), with its centre at (x + 0.5, y + 0.5). A ring that is not simplified, filled by whatever
//! rule looks at centres, gives back exactly its mask; one simplified with tolerance `t` differs only in pixels whose
//! centres lie within `t` of the outline. Pixels that touch at a corner belong together, as in the rest of this crate
//! and in OpenCV's `findContours`; so a ring may touch itself at a corner.

use percept_core::segment::Mask;

use crate::components::{Connectivity, Regions, Side};

use super::simplify::simplify;

/// A closed line through these corners, x and y; the last is joined to the first. Inside lies to its right (y goes
/// down): outer rings go clockwise on the screen, rings of holes counter-clockwise.
pub type Ring = Vec<[u32; 2]>;

/// One connected part of a mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polygon {
    /// What encloses it.
    pub outer: Ring,
    /// What is cut out of it.
    pub holes: Vec<Ring>,
}

/// The connected parts of a mask, in the order of their first pixels column by column.
///
/// `tolerance` is in pixels: corners are dropped (Douglas and Peucker 1973) as long as the ring stays that near to
/// what it was; 0 keeps all. A ring that would vanish stays as it was.
pub fn polygons(mask: &Mask, tolerance: f64) -> Vec<Polygon> {
    let regions = Regions::new(mask, Side::Inside, Connectivity::Eight);
    let mut parts: Vec<Polygon> =
        regions.areas().iter().map(|_| Polygon { outer: Vec::new(), holes: Vec::new() }).collect();
    for ring in rings(mask) {
        // The first step of a ring goes to the right, above a pixel inside.
        let [x, y] = ring[0];
        let Some(region) = regions.at(x, y) else { continue };
        let outer = doubled_area(&ring) > 0;
        let ring = simplify(ring, tolerance);
        if outer {
            parts[region].outer = ring;
        } else {
            parts[region].holes.push(ring);
        }
    }
    parts
}

/// Twice the area that a ring encloses; negative where it goes counter-clockwise on the screen.
pub(super) fn doubled_area(ring: &[[u32; 2]]) -> i64 {
    let next = ring.iter().cycle().skip(1);
    ring.iter()
        .zip(next)
        .map(|(a, b)| i64::from(a[0]) * i64::from(b[1]) - i64::from(b[0]) * i64::from(a[1]))
        .sum()
}

/// All rings with all their corners; each begins with a step to the right.
fn rings(mask: &Mask) -> Vec<Ring> {
    let Some(window) = Window::new(mask) else { return Vec::new() };
    let mut walked = vec![false; window.pixels.len()];
    let mut rings = Vec::new();
    for index in 0..window.pixels.len() {
        if window.pixels[index] && !window.pixels[index - window.stride] && !walked[index] {
            rings.push(window.walk(index, &mut walked));
        }
    }
    rings
}

/// The part of a picture that a mask touches, with an empty frame of one pixel.
struct Window {
    left: u32,
    top: u32,
    stride: usize,
    pixels: Vec<bool>,
}

impl Window {
    fn new(mask: &Mask) -> Option<Self> {
        let [left, top, right, bottom] = mask.bounding_box()?;
        let (stride, rows) = ((right - left) as usize + 2, (bottom - top) as usize + 2);
        let mut pixels = vec![false; stride * rows];
        let columns = mask.width() as usize;
        mask.paint(|at| {
            let (x, y) = (at % columns - left as usize, at / columns - top as usize);
            pixels[(y + 1) * stride + x + 1] = true;
        });
        Some(Self { left, top, stride, pixels })
    }

    /// Follows the outline from the upper left corner of the pixel at `start` to the right.
    fn walk(&self, start: usize, walked: &mut [bool]) -> Ring {
        // A corner has the index of the pixel to its lower right. Directions: right, down, left, up.
        let stride = self.stride as isize;
        let steps = [1, stride, -1, -stride];
        // The pixels ahead of a corner, to the left and to the right of the way.
        let ahead = [[-stride, 0], [0, -1], [-1, -stride - 1], [-stride - 1, -stride]];
        let inside = |corner: usize, offset: isize| self.pixels[corner.wrapping_add_signed(offset)];

        let mut ring = vec![self.corner(start)];
        let (mut corner, mut direction) = (start, 0);
        loop {
            if direction == 0 {
                walked[corner] = true;
            }
            corner = corner.wrapping_add_signed(steps[direction]);
            let [left, right] = ahead[direction];
            let turned = if inside(corner, left) {
                (direction + 3) % 4
            } else if inside(corner, right) {
                direction
            } else {
                (direction + 1) % 4
            };
            if corner == start && turned == 0 {
                // It comes back turning: the pixel before the start, were it on this ring, would have been the start.
                return ring;
            }
            if turned != direction {
                ring.push(self.corner(corner));
            }
            direction = turned;
        }
    }

    fn corner(&self, index: usize) -> [u32; 2] {
        [self.left + (index % self.stride) as u32 - 1, self.top + (index / self.stride) as u32 - 1]
    }
}
