//! Two clouds from three sides, before and after they were brought together.

use percept_core::segment::Image;

use super::Canvas;

/// Two clouds in one frame.
pub struct Side<'a> {
    /// What the column of pictures is called.
    pub title: String,
    /// In orange.
    pub source: &'a [[f64; 3]],
    /// In blue, below.
    pub target: &'a [[f64; 3]],
}

/// Pixels along a side of a view, and between views.
const VIEW: u32 = 560;
const GAP: u32 = 12;
const TITLE: u32 = 34;
/// More points of a cloud than this make no better picture.
const MOST: usize = 400_000;
const SOURCE: [u8; 3] = [230, 97, 0];
const TARGET: [u8; 3] = [26, 106, 186];
/// What a point leaves of what is beneath it.
const VEIL: f32 = 0.45;

/// Views from above (x to the right, y up), from the front (x, z) and from the side (y, z), a row each; a column for each
/// of `columns`. Every column has one scale, which leaves out the outermost hundredth of the points.
pub fn sides(columns: &[Side<'_>]) -> Image {
    let width = GAP + columns.len() as u32 * (VIEW + GAP);
    let height = TITLE + 3 * (VIEW + GAP);
    let mut image = Image::new(width, height, vec![224; (3 * width * height) as usize]);
    for (column, side) in columns.iter().enumerate() {
        let (middle, half) = frame(side);
        for (row, axes) in [[0, 1], [0, 2], [1, 2]].into_iter().enumerate() {
            let left = GAP + column as u32 * (VIEW + GAP);
            let top = TITLE + row as u32 * (VIEW + GAP);
            let mut view =
                View { image: &mut image, left, top, middle, scale: f64::from(VIEW) / 2.0 / half, axes };
            view.clear();
            view.points(side.target, TARGET);
            view.points(side.source, SOURCE);
        }
    }
    let mut canvas = Canvas::new(&image);
    for (column, side) in columns.iter().enumerate() {
        let left = (GAP + column as u32 * (VIEW + GAP)) as f32;
        canvas.text(&side.title, [left + 4.0, TITLE as f32 - 10.0], 22.0, [32, 32, 32]);
        for (row, name) in
            ["from above: x, y", "from the front: x, z", "from the side: y, z"].iter().enumerate()
        {
            let top = (TITLE + row as u32 * (VIEW + GAP)) as f32;
            canvas.text(name, [left + 8.0, top + 22.0], 16.0, [90, 90, 90]);
        }
    }
    canvas.into_image()
}

/// The middle and half the side of a cube that holds all but the outermost points.
fn frame(side: &Side<'_>) -> ([f64; 3], f64) {
    let mut middle = [0.0; 3];
    let mut half = 0.0_f64;
    for axis in 0..3 {
        let all = thinned(side.source).chain(thinned(side.target));
        let mut values: Vec<f64> = all.map(|point| point[axis]).collect();
        if values.is_empty() {
            continue;
        }
        let last = values.len() - 1;
        let (low, high) = (last / 200, last - last / 200);
        let low = *values.select_nth_unstable_by(low, f64::total_cmp).1;
        let high = *values.select_nth_unstable_by(high, f64::total_cmp).1;
        middle[axis] = low / 2.0 + high / 2.0;
        half = half.max((high - low) / 2.0);
    }
    (middle, if half > 0.0 { half * 1.08 } else { 1.0 })
}

fn thinned(points: &[[f64; 3]]) -> impl Iterator<Item = &[f64; 3]> {
    points.iter().step_by(points.len().div_ceil(MOST).max(1))
}

struct View<'a> {
    image: &'a mut Image,
    left: u32,
    top: u32,
    middle: [f64; 3],
    /// Pixels a unit.
    scale: f64,
    axes: [usize; 2],
}

impl View<'_> {
    fn clear(&mut self) {
        for y in 0..VIEW {
            let start = 3 * ((self.top + y) * self.image.width + self.left) as usize;
            self.image.rgb[start..start + 3 * VIEW as usize].fill(255);
        }
    }

    fn points(&mut self, points: &[[f64; 3]], color: [u8; 3]) {
        for point in thinned(points) {
            let [right, up] = self.axes.map(|axis| (point[axis] - self.middle[axis]) * self.scale);
            let (x, y) = ((right + f64::from(VIEW) / 2.0).floor(), (f64::from(VIEW) / 2.0 - up).floor());
            // Few points are seen only when they are larger than a pixel.
            let size = if points.len() < 20_000 { 2 } else { 1 };
            for (dx, dy) in (0..size).flat_map(|dy| (0..size).map(move |dx| (dx, dy))) {
                self.pixel(x + f64::from(dx), y + f64::from(dy), color);
            }
        }
    }

    fn pixel(&mut self, x: f64, y: f64, color: [u8; 3]) {
        let inside = 0.0..f64::from(VIEW);
        if !inside.contains(&x) || !inside.contains(&y) {
            return;
        }
        let at = 3 * ((self.top + y as u32) * self.image.width + self.left + x as u32) as usize;
        for (pixel, color) in self.image.rgb[at..at + 3].iter_mut().zip(color) {
            *pixel = (f32::from(*pixel) * VEIL + f32::from(color) * (1.0 - VEIL)).round() as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clouds_are_seen_in_every_view() {
        let source: Vec<[f64; 3]> =
            (0..100).map(|at| [f64::from(at), f64::from(at * 7 % 100), 1e6]).collect();
        let target: Vec<[f64; 3]> = source.iter().map(|[x, y, z]| [x + 40.0, y + 3.0, z + 60.0]).collect();
        let column = || Side { title: "before".into(), source: &source, target: &target };
        let image = sides(&[column(), column()]);
        assert_eq!((image.width, image.height), (12 + 2 * 572, 34 + 3 * 572));
        for (column, row) in [(0, 0), (1, 0), (0, 1), (1, 2)] {
            let (left, top) = (12 + column * 572, 34 + row * 572);
            let has = |color: [u8; 3]| {
                let first = color.map(|value| (255.0 * VEIL + f32::from(value) * (1.0 - VEIL)).round() as u8);
                (0..VIEW).flat_map(|y| (0..VIEW).map(move |x| (x, y))).any(|(x, y)| {
                    let at = 3 * ((top + y) * image.width + left + x) as usize;
                    image.rgb[at..at + 3] == first
                })
            };
            assert!(has(SOURCE) && has(TARGET), "column {column}, row {row}");
        }
        assert_eq!(sides(&[Side { title: String::new(), source: &[], target: &[] }]).width, 584);
    }
}
