//! From one class a pixel to one mask a class.

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
        /// The runs of a class, as far as they are known.
        #[derive(Clone, Default)]
        struct Runs {
            counts: Vec<u32>,
            end: usize,
        }
        let mut all = vec![Runs::default(); count];
        let mut end_run = |class: u16, start: usize, end: usize| {
            if let Some(runs) = all.get_mut(usize::from(class)) {
                runs.counts.extend([(start - runs.end) as u32, (end - start) as u32]);
                runs.end = end;
            }
        };
        let pixels = self.width * self.height;
        let (mut class, mut start) = (self.classes.first().copied().unwrap_or(0), 0);
        // Masks run down the columns.
        for x in 0..self.width {
            for y in 0..self.height {
                let here = self.classes[y * self.width + x];
                if here != class {
                    let at = x * self.height + y;
                    end_run(class, start, at);
                    (class, start) = (here, at);
                }
            }
        }
        if pixels > 0 {
            end_run(class, start, pixels);
        }
        let mask = |(class, mut runs): (usize, Runs)| {
            if runs.end < pixels {
                runs.counts.push((pixels - runs.end) as u32);
            }
            let mask = Mask::from_counts(self.width as u32, self.height as u32, runs.counts);
            (class, mask.expect("the runs of a class cover the picture"))
        };
        all.into_iter().enumerate().filter(|(_, runs)| runs.end > 0).map(mask).collect()
    }
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
}
