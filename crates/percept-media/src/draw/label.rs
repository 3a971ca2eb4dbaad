//! Where labels go: inside the picture, and not over one another.

use super::canvas::{Canvas, Point};
use super::color::readable_on;
use super::text;

/// What a label belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    /// Its centre shall be here.
    Center(Point),
    /// It shall stand on this corner, left and bottom; or hang in it, if there is no room above.
    Corner(Point),
}

/// Labels that have been placed in a picture of a size.
pub(super) struct Labels {
    size: [f32; 2],
    height: f32,
    placed: Vec<[f32; 4]>,
}

impl Labels {
    pub(super) fn new(canvas: &Canvas) -> Self {
        let size = [canvas.image.width as f32, canvas.image.height as f32];
        Self { size, height: canvas.text_height().min(size[1] / 1.5), placed: Vec::new() }
    }

    /// How high the plate of a label is.
    pub(super) fn plate_height(&self) -> f32 {
        (1.25 * self.height).ceil()
    }

    fn padding(&self) -> f32 {
        (0.35 * self.height).round()
    }

    /// Draws a label at its anchor, or near it where others are in the way.
    pub(super) fn draw(&mut self, canvas: &mut Canvas, label: &str, anchor: Anchor, color: [u8; 3]) {
        let label = text::fitted(label, self.height, self.size[0] - 2.0 * self.padding());
        if label.is_empty() {
            return;
        }
        let width = (text::width(&label, self.height) + 2.0 * self.padding()).ceil();
        let plate = self.place(anchor, width);
        let [x0, y0, x1, y1] = plate;
        if let Anchor::Center(at) = anchor
            && !((x0..=x1).contains(&at[0]) && (y0..=y1).contains(&at[1]))
        {
            let middle = [at[0].clamp(x0 + 2.0, x1 - 2.0), (y0 + y1) / 2.0];
            canvas.line(middle, at, (canvas.line_width() / 2.0).max(1.0), color);
        }
        let radius = 0.2 * self.height;
        canvas.plate([x0 - 1.0, y0 - 1.0, x1 + 1.0, y1 + 1.0], radius + 1.0, [16; 3], 0.6);
        canvas.plate(plate, radius, color, 0.95);
        let baseline = y0 + (y1 - y0 - self.height) / 2.0 + text::ascent(self.height);
        canvas.text(&label, [x0 + self.padding(), baseline.round()], self.height, readable_on(color));
        self.placed.push(plate);
    }

    /// The first free place in an order of growing distance, or the one that covers the least of others.
    fn place(&self, anchor: Anchor, width: f32) -> [f32; 4] {
        let height = self.plate_height();
        let (start, inside) = match anchor {
            Anchor::Center([x, y]) => ([x - width / 2.0, y - height / 2.0], None),
            Anchor::Corner([x, y]) => ([x, y - height - 1.0], Some([x, y + 1.0])),
        };
        // A label that hangs in its corner is better than one that was pushed down from above.
        let above = start[1] >= 0.0;
        let first = inside.filter(|_| !above).into_iter().chain([start]).chain(inside);
        let candidates = first.chain(self.around(start, [width * 0.5, height + 3.0]));
        let mut best = ([0.0; 4], f32::INFINITY);
        for [x, y] in candidates {
            let x = x.clamp(1.0, (self.size[0] - width - 1.0).max(1.0)).round();
            let y = y.clamp(1.0, (self.size[1] - height - 1.0).max(1.0)).round();
            let plate = [x, y, x + width, y + height];
            let covered: f32 = self.placed.iter().map(|other| overlap(plate, *other)).sum();
            if covered < best.1 {
                best = (plate, covered);
            }
            if covered == 0.0 {
                break;
            }
        }
        best.0
    }

    /// Places in steps from `start` over the whole picture, the nearest first.
    fn around(&self, start: [f32; 2], step: [f32; 2]) -> impl Iterator<Item = [f32; 2]> {
        let reach = |axis: usize| (self.size[axis] / step[axis]).ceil().clamp(1.0, 60.0) as i32;
        let mut shifts: Vec<[f32; 2]> = (-reach(0)..=reach(0))
            .flat_map(|column| (-reach(1)..=reach(1)).map(move |row| [column, row]))
            .map(|[column, row]| [column as f32 * step[0], row as f32 * step[1]])
            .collect();
        shifts.sort_by(|a, b| a[0].hypot(a[1]).total_cmp(&b[0].hypot(b[1])));
        shifts.into_iter().map(move |shift| [start[0] + shift[0], start[1] + shift[1]])
    }
}

/// The area that two boxes have in common.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let side = |low: usize, high: usize| (a[high].min(b[high]) - a[low].max(b[low])).max(0.0);
    side(0, 2) * side(1, 3)
}

#[cfg(test)]
mod tests {
    use percept_core::segment::Image;

    use super::*;

    #[test]
    fn labels_stay_inside_and_apart() {
        let mut canvas = Canvas::new(&Image::new(300, 200, vec![90; 180_000]));
        let mut labels = Labels::new(&canvas);
        for index in 0..20 {
            let anchor =
                if index % 2 == 0 { Anchor::Center([299.0, 3.0]) } else { Anchor::Corner([280.0, 2.0]) };
            labels.draw(&mut canvas, "bicycle", anchor, [200, 90, 30]);
        }
        for (index, plate) in labels.placed.iter().enumerate() {
            let [x0, y0, x1, y1] = *plate;
            assert!(x0 >= 0.0 && y0 >= 0.0 && x1 <= 300.0 && y1 <= 200.0, "{plate:?}");
            assert!(labels.placed[..index].iter().all(|other| overlap(*plate, *other) == 0.0), "{plate:?}");
        }
    }

    #[test]
    fn a_label_larger_than_its_picture_does_no_harm() {
        for (width, height) in [(1, 1), (3, 40), (40, 3)] {
            let pixels = vec![0; 3 * width as usize * height as usize];
            let mut canvas = Canvas::new(&Image::new(width, height, pixels));
            let mut labels = Labels::new(&canvas);
            labels.draw(&mut canvas, "a label", Anchor::Corner([1.0, 1.0]), [9; 3]);
            assert_eq!(canvas.into_image().size(), (width, height));
        }
    }
}
