//! What must hold for any mask.

use percept_core::coco::{Counts, Rle};
use percept_core::segment::{Instance, Mask, Segmentation, SegmentationKind};
use proptest::prelude::*;

use super::golden::fill;
use super::*;

prop_compose! {
    /// Noise, or noise in blocks, so that parts, holes and long edges come.
    fn masks()(width in 1..24_u32, height in 1..24_u32, block in 1..5_u32)(
        bits in prop::collection::vec(any::<bool>(), 24 * 24),
        (width, height, block) in Just((width, height, block)),
    ) -> Mask {
        let pixel = |at: u32| u8::from(bits[(at / width / block * 24 + at % width / block) as usize]);
        let pixels: Vec<u8> = (0..width * height).map(pixel).collect();
        Mask::from_pixels(width, height, &pixels)
    }
}

fn all_rings(mask: &Mask, tolerance: f64) -> Vec<Ring> {
    polygons(mask, tolerance).iter().flat_map(|part| rings_of(part).cloned().collect::<Vec<_>>()).collect()
}

/// How far a pixel's centre is from the nearest edge between a pixel inside and one outside.
fn distance_to_outline(mask: &Mask, x: u32, y: u32) -> f64 {
    let (x, y) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
    let rings = all_rings(mask, 0.0);
    let edges = rings.iter().flat_map(|ring| ring.iter().zip(ring.iter().cycle().skip(1)));
    edges
        .map(|(a, b)| {
            // Edges are upright or level.
            let gap =
                |p: f64, a: u32, b: u32| (f64::from(a.min(b)) - p).max(p - f64::from(a.max(b))).max(0.0);
            gap(x, a[0], b[0]).hypot(gap(y, a[1], b[1]))
        })
        .fold(f64::INFINITY, f64::min)
}

proptest! {
    #[test]
    fn run_lengths_come_back(mask in masks()) {
        prop_assert_eq!(Rle::compressed(&mask).mask().unwrap(), mask.clone());
        prop_assert_eq!(Rle::uncompressed(&mask).mask().unwrap(), mask);
    }

    #[test]
    fn any_text_is_a_mask_or_an_error(text in "[0-o]{0,40}", height in 0..9_u32, width in 0..9_u32) {
        let _ = Rle { size: [height, width], counts: Counts::Compressed(text) }.mask();
    }

    #[test]
    fn outlines_enclose_their_mask(mask in masks()) {
        prop_assert_eq!(fill(mask.width(), mask.height(), &all_rings(&mask, 0.0)), mask);
    }

    #[test]
    fn joined_rings_enclose_the_same(mask in masks(), tolerance in 0.0..2.0_f64) {
        let rings = all_rings(&mask, tolerance);
        let joined = join::joined(&rings.iter().collect::<Vec<_>>());
        let (width, height) = (mask.width(), mask.height());
        prop_assert_eq!(fill(width, height, &[joined]), fill(width, height, &rings));
    }

    #[test]
    fn simple_outlines_stay_near(mask in masks(), tolerance in 0.0..3.0_f64) {
        let drawn = fill(mask.width(), mask.height(), &all_rings(&mask, tolerance)).pixels();
        for (at, (a, b)) in drawn.iter().zip(mask.pixels()).enumerate() {
            let (x, y) = (at as u32 % mask.width(), at as u32 / mask.width());
            prop_assert!(*a == b || distance_to_outline(&mask, x, y) <= tolerance + 1e-9, "pixel {}, {}", x, y);
        }
    }

    #[test]
    fn text_formats_take_any_mask(mask in masks(), tolerance in 0.0..3.0_f64) {
        let (width, height) = (mask.width(), mask.height());
        let instances = vec![Instance::new(1, mask, 0.5, None)];
        let found = Segmentation { width, height, kind: SegmentationKind::Prompted, instances };
        let lines = yolo(&found, tolerance);
        prop_assert_eq!(lines.lines().count(), usize::from(found.instances[0].area > 0));
        // A polygon has three corners, and more than four numbers: pycocotools takes four for a box.
        let shapes = LabelMe::new("a.png", &found, tolerance);
        prop_assert!(shapes.shapes().iter().all(|shape| shape.points.len() >= 3));
    }
}
