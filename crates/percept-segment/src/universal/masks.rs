//! From a map of numbers to masks.

use percept_core::segment::Mask;

/// The masks of the segments `0..count` of a map of `rows` by `columns` pixels, in one pass. `segment` says which
/// segment a number of the map stands for.
pub(super) fn masks(
    map: &[u16],
    [rows, columns]: [usize; 2],
    count: usize,
    segment: impl Fn(u16) -> Option<usize>,
) -> Vec<Mask> {
    // Of each segment its runs so far, and where the last of them ended.
    let mut runs = vec![(Vec::<u32>::new(), 0_u32); count];
    let (mut running, mut began) = (None, 0_u32);
    let mut close = |running: Option<usize>, began: u32, at: u32| {
        if let Some(segment) = running {
            let (counts, end) = &mut runs[segment];
            counts.extend([began - *end, at - began]);
            *end = at;
        }
    };
    let mut at = 0;
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
    let whole = |(mut counts, end): (Vec<u32>, u32)| {
        counts.push(at - end);
        Mask::from_counts(columns as u32, rows as u32, counts).expect("runs end with the picture")
    };
    runs.into_iter().map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            // An empty run at the end is no difference.
            assert_eq!((mask.pixels(), mask.area()), (wanted.pixels(), wanted.area()));
        }
    }
}
