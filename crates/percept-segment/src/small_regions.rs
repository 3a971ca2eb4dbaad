//! Small holes are filled and small islands removed.

use percept_core::segment::Mask;

use crate::components::{Connectivity, Regions, Side};

/// Which small regions SAM's generator removes in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmallRegions {
    /// Regions outside the mask, at the picture's border too.
    Holes,
    /// Regions of the mask; the largest stays however small.
    Islands,
}

/// `remove_small_regions` of segment-anything (`utils/amg.py`): regions of fewer than `min_area` pixels change sides.
/// Both sides count eight neighbours. `None` where nothing changes.
pub fn remove_small_regions(mask: &Mask, min_area: u64, which: SmallRegions) -> Option<Mask> {
    let side = if which == SmallRegions::Holes { Side::Outside } else { Side::Inside };
    let regions = Regions::new(mask, side, Connectivity::Eight);
    let areas = regions.areas();
    if areas.iter().all(|area| *area >= min_area) {
        return None;
    }
    let largest = areas.iter().max().copied().unwrap_or(0);
    let saved = if which == SmallRegions::Islands && largest < min_area {
        areas.iter().position(|area| *area == largest)
    } else {
        None
    };
    let kept = regions.mask(|region| areas[region] >= min_area || Some(region) == saved);
    Some(if which == SmallRegions::Holes { kept.complement() } else { kept })
}

/// Without its connected parts (eight neighbours) of fewer than `min_area` pixels.
pub(crate) fn without_small_parts(mask: &Mask, min_area: u64) -> Mask {
    let regions = Regions::new(mask, Side::Inside, Connectivity::Eight);
    regions.mask(|region| regions.areas()[region] >= min_area)
}

/// The pixels of its holes of fewer than `max_area` pixels. A hole is a region outside (four neighbours, since the
/// mask's pixels have eight) that does not reach the picture's border.
pub(crate) fn small_holes(mask: &Mask, max_area: u64) -> Mask {
    let regions = Regions::new(mask, Side::Outside, Connectivity::Four);
    regions.mask(|region| regions.areas()[region] < max_area && !regions.at_border(region))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::golden::cases;
    use percept_core::coco::{Counts, Rle};

    fn counts(mask: &Mask) -> Vec<u32> {
        match Rle::uncompressed(mask).counts {
            Counts::Uncompressed(counts) => counts,
            Counts::Compressed(_) => unreachable!(),
        }
    }

    #[test]
    fn regions_are_those_of_opencv() {
        for (mask, case) in cases() {
            for (side, connectivity, name) in [
                (Side::Inside, Connectivity::Four, "inside4"),
                (Side::Inside, Connectivity::Eight, "inside8"),
                (Side::Outside, Connectivity::Four, "outside4"),
                (Side::Outside, Connectivity::Eight, "outside8"),
            ] {
                let Some(want) = case["regions"].get(name) else { continue };
                let mut areas = Regions::new(&mask, side, connectivity).areas().to_vec();
                areas.sort_unstable();
                assert_eq!(serde_json::json!(areas), *want, "{name} of {}", case["size"]);
            }
        }
    }

    #[test]
    fn small_regions_go_as_in_segment_anything() {
        for (mask, case) in cases() {
            for small in case["small"].as_array().into_iter().flatten() {
                for (which, name) in [(SmallRegions::Holes, "holes"), (SmallRegions::Islands, "islands")] {
                    let result = remove_small_regions(&mask, small["area"].as_u64().unwrap(), which);
                    let want: Vec<u32> = serde_json::from_value(small[name].clone()).unwrap();
                    assert_eq!(counts(&result.unwrap_or(mask.clone())), want, "{name} of {}", case["size"]);
                }
            }
        }
    }

    /// Spreads from pixel to pixel: the plainest way there is.
    fn spread(pixels: &[bool], width: usize, connectivity: Connectivity) -> Vec<Option<usize>> {
        let height = pixels.len() / width;
        let mut found = vec![None; pixels.len()];
        for start in 0..pixels.len() {
            let mut open = vec![start];
            while let Some(at) = open.pop() {
                if !pixels[at] || found[at].is_some() {
                    continue;
                }
                found[at] = Some(start);
                let (x, y) = (at % width, at / width);
                for (nx, ny) in (x.saturating_sub(1)..width.min(x + 2))
                    .flat_map(|nx| (y.saturating_sub(1)..height.min(y + 2)).map(move |ny| (nx, ny)))
                {
                    if connectivity == Connectivity::Eight || nx == x || ny == y {
                        open.push(ny * width + nx);
                    }
                }
            }
        }
        found
    }

    proptest! {
        #[test]
        fn regions_are_what_pixels_reach(
            bits in prop::collection::vec(any::<bool>(), 1..200),
            width in 1..20_usize,
            eight in any::<bool>(),
            inside in any::<bool>(),
        ) {
            let bits = &bits[..bits.len() / width * width];
            prop_assume!(!bits.is_empty());
            let bytes: Vec<u8> = bits.iter().map(|bit| u8::from(*bit)).collect();
            let mask = Mask::from_pixels(width as u32, (bits.len() / width) as u32, &bytes);
            let connectivity = if eight { Connectivity::Eight } else { Connectivity::Four };
            let side = if inside { Side::Inside } else { Side::Outside };
            let regions = Regions::new(&mask, side, connectivity);
            let pixels: Vec<bool> = bits.iter().map(|bit| *bit == inside).collect();
            let want = spread(&pixels, width, connectivity);
            let ours: Vec<_> =
                (0..bits.len()).map(|at| regions.at((at % width) as u32, (at / width) as u32)).collect();
            for (a, b) in (0..bits.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
                prop_assert_eq!(ours[a].is_some(), want[a].is_some());
                if ours[a].is_some() && ours[b].is_some() {
                    prop_assert_eq!(ours[a] == ours[b], want[a] == want[b]);
                }
            }
            let all = regions.mask(|_| true).area();
            prop_assert_eq!(all, pixels.iter().filter(|pixel| **pixel).count() as u64);
            // Numbers go with the first pixels, column by column.
            let height = bits.len() / width;
            let columns = (0..bits.len()).filter_map(|at| ours[at % height * width + at / height]);
            let mut seen = 0;
            for region in columns {
                prop_assert!(region <= seen);
                seen = seen.max(region + 1);
            }
        }
    }
}
