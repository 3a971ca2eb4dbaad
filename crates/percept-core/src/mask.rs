//! Binary masks, run-length encoded.

/// Which pixels of a picture belong to something.
///
/// Runs down the columns, left to right, that begin with the pixels that are *not* in the mask: the order of COCO.
/// A mask of a 12-megapixel picture takes kilobytes, so hundreds of them fit in memory. No run but the first is empty:
/// equal masks have equal counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    width: u32,
    height: u32,
    counts: Vec<u32>,
}

impl Mask {
    /// Of `width * height` pixels in rows; whatever is not zero is in the mask.
    ///
    /// # Panics
    /// If there are more or fewer pixels.
    pub fn from_pixels(width: u32, height: u32, pixels: &[u8]) -> Self {
        let (columns, rows) = (width as usize, height as usize);
        assert_eq!(pixels.len(), columns * rows, "one byte a pixel");
        let mut counts = Vec::new();
        let (mut inside, mut run) = (false, 0);
        for x in 0..columns {
            for y in 0..rows {
                if (pixels[y * columns + x] != 0) != inside {
                    counts.push(run);
                    (inside, run) = (!inside, 0);
                }
                run += 1;
            }
        }
        counts.push(run);
        Self { width, height, counts }
    }

    /// Of COCO's counts; `None` where they do not cover the picture exactly.
    pub fn from_counts(width: u32, height: u32, counts: &[u32]) -> Option<Self> {
        let covered = counts.iter().map(|count| u64::from(*count)).sum::<u64>();
        let covers = covered == u64::from(width) * u64::from(height);
        covers.then(|| Self::from_runs(width, height, runs(counts)))
    }

    /// With no pixel in it.
    pub fn empty(width: u32, height: u32) -> Self {
        Self { width, height, counts: vec![width * height] }
    }

    /// Columns of the picture.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows of the picture.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// COCO's counts: lengths of runs in column order, outside and inside in turn, outside first.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// One byte a pixel in rows: 1 inside, 0 outside.
    pub fn pixels(&self) -> Vec<u8> {
        let mut pixels = vec![0; self.width as usize * self.height as usize];
        self.paint(|index| pixels[index] = 1);
        pixels
    }

    /// Calls `set` with the row-major index of each pixel inside, column by column.
    pub fn paint(&self, mut set: impl FnMut(usize)) {
        let (columns, rows) = (self.width as usize, self.height as usize);
        for (start, end) in self.runs() {
            for at in start..end {
                set(at as usize % rows * columns + at as usize / rows);
            }
        }
    }

    /// How many pixels are inside.
    pub fn area(&self) -> u64 {
        self.runs().map(|(start, end)| end - start).sum()
    }

    /// Left, top, right and bottom of the pixels inside, right and bottom exclusive; `None` for an empty mask.
    pub fn bounding_box(&self) -> Option<[u32; 4]> {
        let rows = u64::from(self.height);
        let mut bounds: Option<[u64; 4]> = None;
        for (start, end) in self.runs() {
            let (left, right) = (start / rows, (end - 1) / rows);
            // A run that goes on in the next column touches both edges.
            let (top, bottom) = if left == right { (start % rows, (end - 1) % rows) } else { (0, rows - 1) };
            let [x0, y0, x1, y1] = bounds.unwrap_or([left, top, right, bottom]);
            bounds = Some([x0.min(left), y0.min(top), x1.max(right), y1.max(bottom)]);
        }
        bounds.map(|[x0, y0, x1, y1]| [x0 as u32, y0 as u32, x1 as u32 + 1, y1 as u32 + 1])
    }

    /// How many pixels are in both. Masks of different pictures have none in common.
    pub fn intersection(&self, other: &Self) -> u64 {
        if (self.width, self.height) != (other.width, other.height) {
            return 0;
        }
        let (mut ours, mut theirs) = (self.runs().peekable(), other.runs().peekable());
        let mut common = 0;
        while let (Some(a), Some(b)) = (ours.peek(), theirs.peek()) {
            common += a.1.min(b.1).saturating_sub(a.0.max(b.0));
            if a.1 < b.1 {
                ours.next()
            } else {
                theirs.next()
            };
        }
        common
    }

    /// Intersection over union; 0 where both are empty.
    pub fn iou(&self, other: &Self) -> f64 {
        let common = self.intersection(other);
        let union = self.area() + other.area() - common;
        if union == 0 { 0.0 } else { common as f64 / union as f64 }
    }

    /// The pixels that are in either.
    ///
    /// # Panics
    /// If the masks are of pictures of different sizes.
    pub fn union(&self, other: &Self) -> Self {
        assert_eq!((self.width, self.height), (other.width, other.height), "masks of one picture");
        let mut all: Vec<(u64, u64)> = self.runs().chain(other.runs()).collect();
        all.sort_unstable();
        Self::from_runs(self.width, self.height, all)
    }

    /// The pixels that are not in it.
    pub fn complement(&self) -> Self {
        let counts = match self.counts.as_slice() {
            [0, rest @ ..] if !rest.is_empty() => rest.to_vec(),
            counts => std::iter::once(0).chain(counts.iter().copied()).collect(),
        };
        Self { counts, ..*self }
    }

    /// The part inside the rectangle from (`left`, `top`), `width` by `height` pixels, cut to the picture, as a mask
    /// of that rectangle.
    pub fn cropped(&self, left: u32, top: u32, width: u32, height: u32) -> Self {
        let (left, top) = (left.min(self.width), top.min(self.height));
        let (width, height) = (width.min(self.width - left), height.min(self.height - top));
        let bottom = top + height;
        let pieces = self.column_runs().filter_map(|(column, start, end)| {
            let (start, end) = (start.max(top), end.min(bottom));
            let inside = (left..left + width).contains(&column) && start < end;
            inside.then(|| (column - left, start - top, end - top))
        });
        Self::from_column_runs(width, height, pieces)
    }

    /// This mask as a part of a larger picture of `width` by `height` pixels, its upper left corner at
    /// (`left`, `top`); what does not fit is cut off.
    pub fn pasted(&self, left: u32, top: u32, width: u32, height: u32) -> Self {
        let pieces = self.column_runs().filter_map(|(column, start, end)| {
            let (column, start, end) = (column + left, start + top, (end + top).min(height));
            (column < width && start < end).then_some((column, start, end))
        });
        Self::from_column_runs(width, height, pieces)
    }

    /// The same in another size: each new pixel is what the pixel under its centre was.
    pub fn scaled(&self, width: u32, height: u32) -> Self {
        // The first new pixel whose centre, at (2 new + 1) / 2 of the new pixels, is not before the old pixel `at`.
        let first = |at: u32, old: u32, new: u32| {
            let (at, old, new) = (u64::from(at), u64::from(old.max(1)), u64::from(new));
            ((2 * at * new + old).saturating_sub(1) / (2 * old)) as u32
        };
        let pieces = self.column_runs().flat_map(|(column, start, end)| {
            let [left, right] = [column, column + 1].map(|at| first(at, self.width, width));
            let [top, bottom] = [start, end].map(|at| first(at, self.height, height));
            (left..right).map(move |column| (column, top, bottom))
        });
        // A column that became several has its runs one behind the other, and theirs must be in order.
        let mut pieces: Vec<_> = pieces.filter(|(_, top, bottom)| top < bottom).collect();
        pieces.sort_unstable();
        Self::from_column_runs(width, height, pieces.into_iter())
    }

    /// The runs inside, cut at the ends of columns: column, first row, and the row behind the last.
    fn column_runs(&self) -> impl Iterator<Item = (u32, u32, u32)> + '_ {
        let rows = u64::from(self.height).max(1);
        self.runs().flat_map(move |(start, end)| {
            (start / rows..=(end - 1) / rows).map(move |column| {
                let first = column * rows;
                (column as u32, (start.max(first) - first) as u32, (end.min(first + rows) - first) as u32)
            })
        })
    }

    fn from_column_runs(width: u32, height: u32, pieces: impl Iterator<Item = (u32, u32, u32)>) -> Self {
        let place = |column: u32, row: u32| u64::from(column) * u64::from(height) + u64::from(row);
        Self::from_runs(
            width,
            height,
            pieces.map(|(column, start, end)| (place(column, start), place(column, end))),
        )
    }

    /// Of the runs inside, as half-open ranges of positions in column order, by their start; they may overlap and be
    /// empty.
    ///
    /// # Panics
    /// Perhaps if a run ends behind the picture; else the mask is of no use.
    pub fn from_runs(width: u32, height: u32, runs: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let (mut counts, mut at) = (vec![0], 0);
        for (start, end) in runs.into_iter().filter(|(start, end)| start < end) {
            if start > at {
                // Outside up to the start, unless the mask begins there.
                if at == 0 && counts.len() == 1 {
                    counts[0] = start as u32
                } else {
                    counts.push((start - at) as u32)
                }
                counts.push((end - start) as u32);
            } else if end > at {
                let more = (end - at) as u32;
                if counts.len() == 1 {
                    counts.push(more)
                } else {
                    *counts.last_mut().expect("it has a first") += more
                }
            }
            at = at.max(end);
        }
        let all = u64::from(width) * u64::from(height);
        if all > at {
            if counts.len() == 1 { counts[0] = all as u32 } else { counts.push((all - at) as u32) }
        }
        Self { width, height, counts }
    }

    /// The runs inside, as half-open ranges of positions in column order.
    fn runs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        runs(&self.counts)
    }
}

/// See [`Mask::runs`].
fn runs(counts: &[u32]) -> impl Iterator<Item = (u64, u64)> + '_ {
    let mut at = 0;
    counts
        .iter()
        .enumerate()
        .map(move |(index, count)| {
            let start = at;
            at += u64::from(*count);
            (index % 2 == 1, start, at)
        })
        .filter(|(inside, start, end)| *inside && end > start)
        .map(|(_, start, end)| (start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(rows: &[&str]) -> Mask {
        let pixels: Vec<u8> = rows.iter().flat_map(|row| row.bytes().map(|b| u8::from(b == b'#'))).collect();
        Mask::from_pixels(rows[0].len() as u32, rows.len() as u32, &pixels)
    }

    #[test]
    fn runs_go_down_the_columns_and_begin_outside() {
        assert_eq!(drawn(&["..#", ".##"]).counts(), [3, 3]);
        assert_eq!(drawn(&["#.", ".."]).counts(), [0, 1, 3]);
        assert_eq!(drawn(&["..", ".."]).counts(), [4]);
    }

    #[test]
    fn pixels_come_back() {
        for rows in [&["#..#", "..##", "#..."][..], &["#"], &["....", "...."]] {
            let mask = drawn(rows);
            let again = Mask::from_pixels(mask.width(), mask.height(), &mask.pixels());
            assert_eq!(mask, again);
            assert_eq!(mask.area(), rows.concat().matches('#').count() as u64);
        }
    }

    #[test]
    fn the_box_is_tight() {
        assert_eq!(drawn(&["....", ".##.", ".#.."]).bounding_box(), Some([1, 1, 3, 3]));
        // One run over the seam of two columns.
        assert_eq!(drawn(&[".#", "#."]).bounding_box(), Some([0, 0, 2, 2]));
        assert_eq!(drawn(&["..", ".."]).bounding_box(), None);
    }

    #[test]
    fn common_pixels_are_counted() {
        let (a, b) = (drawn(&["##.", "##."]), drawn(&[".##", ".##"]));
        assert_eq!(a.intersection(&b), 2);
        assert_eq!(a.iou(&b), 2.0 / 6.0);
        assert_eq!(a.iou(&a), 1.0);
        assert_eq!(Mask::empty(3, 2).iou(&Mask::empty(3, 2)), 0.0);
    }

    #[test]
    fn masks_are_joined_cut_and_pasted() {
        let (a, b) = (drawn(&["##..", "#...", "...."]), drawn(&[".#..", ".#.#", "...#"]));
        assert_eq!(a.union(&b), drawn(&["##..", "##.#", "...#"]));
        assert_eq!(Mask::empty(4, 3).union(&b), b);
        assert_eq!(Mask::empty(4, 3).union(&Mask::empty(4, 3)), Mask::empty(4, 3));
        let whole = drawn(&["####", "####", "####"]);
        assert_eq!(whole.union(&a), whole);
        assert_eq!(b.cropped(1, 1, 9, 2), drawn(&["#.#", "..#"]));
        assert_eq!(b.cropped(1, 1, 9, 2).pasted(1, 1, 4, 3), drawn(&["....", ".#.#", "...#"]));
        assert_eq!(whole.pasted(2, 1, 4, 3), drawn(&["....", "..##", "..##"]));
        assert_eq!(whole.cropped(0, 0, 2, 3), drawn(&["##", "##", "##"]));
    }

    #[test]
    fn a_scaled_mask_has_what_was_under_the_centres() {
        let rows = ["#..#.#.", "..##.##", "#...##.", "####..#", ".##..#."];
        let mask = drawn(&rows);
        for (width, height) in [(7, 5), (14, 10), (3, 2), (1, 1), (20, 3), (2, 11), (5, 7)] {
            let under = |at: u32, old: usize, new: u32| {
                let centre = (f64::from(at) + 0.5) / f64::from(new);
                (centre * old as f64) as usize
            };
            let wanted: Vec<u8> = (0..width * height)
                .map(|at| {
                    let (x, y) = (under(at % width, 7, width), under(at / width, 5, height));
                    u8::from(rows[y].as_bytes()[x] == b'#')
                })
                .collect();
            let scaled = mask.scaled(width, height);
            assert_eq!(scaled, Mask::from_pixels(width, height, &wanted), "{width} x {height}");
        }
        assert_eq!(mask.scaled(0, 3), Mask::empty(0, 3));
        assert_eq!(Mask::empty(0, 0).scaled(2, 2), Mask::empty(2, 2));
    }

    #[test]
    fn counts_must_cover_the_picture() {
        assert!(Mask::from_counts(2, 2, &[1, 2]).is_none());
        assert_eq!(Mask::from_counts(2, 2, &[1, 2, 1]).unwrap().area(), 2);
    }

    #[test]
    fn empty_runs_are_no_difference() {
        for (counts, wanted) in [
            (&[1, 2, 0, 0, 1][..], &[1, 2, 1][..]),
            (&[1, 1, 0, 1, 1, 0], &[1, 2, 1]),
            (&[0, 0, 4], &[4]),
            (&[4, 0], &[4]),
            (&[0, 4, 0], &[0, 4]),
        ] {
            assert_eq!(Mask::from_counts(2, 2, counts).unwrap().counts(), wanted, "{counts:?}");
        }
        assert_eq!(Mask::from_counts(0, 0, &[]).unwrap(), Mask::from_pixels(0, 0, &[]));
    }

    #[test]
    fn a_complement_is_what_is_missing() {
        for rows in [&["#..#", "..##"][..], &[".#", "#."], &["....", "...."], &["##", "##"]] {
            let mask = drawn(rows);
            let other: Vec<u8> = mask.pixels().iter().map(|pixel| 1 - pixel).collect();
            assert_eq!(mask.complement(), Mask::from_pixels(mask.width(), mask.height(), &other));
        }
    }
}
