//! From one number a pixel to one mask a number.

use percept_core::segment::Mask;

/// A class for each pixel of a picture.
pub(crate) struct LabelMap {
    /// Columns.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
    /// Row by row.
    pub(crate) classes: Vec<u16>,
}

impl LabelMap {
    /// The masks of all classes below `count` that are present, by their number.
    pub(crate) fn masks(&self, count: usize) -> Vec<(usize, Mask)> {
        let class = |class| Some(usize::from(class)).filter(|class| *class < count);
        let masks = masks(&self.classes, [self.height, self.width], count, class);
        masks.into_iter().enumerate().filter(|(_, mask)| mask.area() > 0).collect()
    }
}

/// The masks of the segments `0..count` of a map of `rows` by `columns` pixels, in one pass. `segment` says which
/// segment a number of the map stands for.
pub(crate) fn masks(
    map: &[u16],
    [rows, columns]: [usize; 2],
    count: usize,
    segment: impl Fn(u16) -> Option<usize>,
) -> Vec<Mask> {
    let mut runs = vec![Vec::new(); count];
    let (mut running, mut began) = (None, 0);
    let mut close = |running: Option<usize>, began: u64, at: u64| {
        if let Some(segment) = running {
            runs[segment].push((began, at));
        }
    };
    let mut at = 0;
    // Masks run down the columns.
    for column in 0..columns {
        for row in 0..rows {
            let here = segment(map[row * columns + column]);
            if here != running {
                close(running, began, at);
                (running, began) = (here, at);
            }
            at += 1;
        }
    }
    close(running, began, at);
    runs.into_iter().map(|runs| Mask::from_runs(columns as u32, rows as u32, runs)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_those_of_each_class_alone() {
        let (width, height) = (7, 5);
        // Class 2 is absent, 9 is none, and a run goes over the seam of two columns.
        let class = |at: usize| [0, 1, 1, 3, 3, 3, 9, 0][(at * at / 3 + at) % 8];
        let classes: Vec<u16> = (0..width * height).map(class).collect();
        let map = LabelMap { width, height, classes: classes.clone() };
        let masks = map.masks(4);
        assert_eq!(masks.iter().map(|(class, _)| *class).collect::<Vec<_>>(), [0, 1, 3]);
        for (class, mask) in masks {
            let pixels: Vec<u8> = classes.iter().map(|here| u8::from(usize::from(*here) == class)).collect();
            assert_eq!(mask, Mask::from_pixels(7, 5, &pixels));
        }
        let whole = LabelMap { width: 2, height: 2, classes: vec![1; 4] };
        assert_eq!(whole.masks(2), [(1, Mask::from_pixels(2, 2, &[1; 4]))]);
        assert!(LabelMap { width: 0, height: 0, classes: vec![] }.masks(2).is_empty());
    }

    #[test]
    fn masks_are_those_of_each_number_alone() {
        let size = [5, 7];
        let map = (0..35).map(|pixel: u16| (pixel * 17 % 11) % 4).collect::<Vec<_>>();
        // 0 is nothing, 3 and 1 are one segment.
        let segment = |number: u16| [None, Some(1), Some(0), Some(1)][usize::from(number)];
        for (index, mask) in masks(&map, size, 3, segment).into_iter().enumerate() {
            let pixels =
                map.iter().map(|number| u8::from(segment(*number) == Some(index))).collect::<Vec<_>>();
            let wanted = Mask::from_pixels(7, 5, &pixels);
            assert_eq!(mask, wanted);
        }
    }
}
