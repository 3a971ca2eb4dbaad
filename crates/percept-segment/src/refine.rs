//! What every model does to its answer before it gives it out: classes, scores, small parts, holes, how many.

use percept_core::Result;
use percept_core::segment::{Label, Mask, SegmentOptions, Segmentation, SegmentationKind};

pub use crate::small_regions::{SmallRegions, remove_small_regions};
use percept_backbone::checkpoint::ClassFilter;

use crate::small_regions::{small_holes, without_small_parts};

/// Applies the options that all models share, in this order: classes, score, holes, small parts, the best so many.
/// What is left keeps its order and is numbered anew from 1. Candidates stay as they are.
///
/// `vocabulary` has the model's classes; empty where it has none.
///
/// - A hole does not reach the picture's border. Where segments do not overlap (panoptic, semantic) only those of its
///   pixels are filled that belong to no other segment that is left.
/// - Parts are connected at edges or corners. With `min_area` an instance without a pixel goes too; without it, it
///   stays: a prompt has its answer.
///
/// # Errors
/// `Argument` where a class is not in the vocabulary, with the nearest names.
pub fn refine(
    segmentation: Segmentation,
    options: &SegmentOptions,
    vocabulary: &[Label],
) -> Result<Segmentation> {
    let filter = ClassFilter::new(&options.classes, vocabulary)?;
    let mut result = segmentation;
    result.instances.retain(|instance| {
        filter.keeps(instance.label.as_ref()) && options.score.is_none_or(|score| instance.score >= score)
    });
    if options.fill_holes > 0 {
        fill_holes(&mut result, options.fill_holes);
    }
    if options.min_area > 0 {
        let instances = std::mem::take(&mut result.instances).into_iter().map(|instance| {
            let mask = without_small_parts(&instance.mask, options.min_area);
            if mask.area() == instance.area { instance } else { instance.with_mask(mask) }
        });
        result.instances = instances.filter(|instance| instance.area > 0).collect();
    }
    if let Some(most) = options.max_instances {
        keep_best(&mut result, most);
    }
    for (index, instance) in result.instances.iter_mut().enumerate() {
        instance.id = index as u32 + 1;
    }
    Ok(result)
}

/// How little a mask changes when the cut-off moves (`calculate_stability_score` of segment-anything): pixels above
/// `threshold + offset` over pixels above `threshold - offset`; 0 where there are none.
pub fn stability_score(logits: &[f32], threshold: f32, offset: f32) -> f32 {
    let above = |limit: f32| logits.iter().filter(|logit| **logit > limit).count();
    let (sure, possible) = (above(threshold + offset), above(threshold - offset));
    if possible == 0 { 0.0 } else { sure as f32 / possible as f32 }
}

fn fill_holes(segmentation: &mut Segmentation, max_area: u64) {
    let exclusive = matches!(segmentation.kind, SegmentationKind::Panoptic | SegmentationKind::Semantic);
    let mut taken = Vec::new();
    if exclusive {
        taken = vec![0_u8; segmentation.width as usize * segmentation.height as usize];
        for instance in &segmentation.instances {
            instance.mask.paint(|at| taken[at] = 1);
        }
    }
    for instance in &mut segmentation.instances {
        let holes = small_holes(&instance.mask, max_area);
        if holes.area() == 0 {
            continue;
        }
        let mut pixels = instance.mask.pixels();
        holes.paint(|at| {
            if !exclusive || taken[at] == 0 {
                pixels[at] = 1;
                if exclusive {
                    taken[at] = 1;
                }
            }
        });
        let mask = Mask::from_pixels(instance.mask.width(), instance.mask.height(), &pixels);
        *instance = instance.clone().with_mask(mask);
    }
}

fn keep_best(segmentation: &mut Segmentation, most: usize) {
    if segmentation.instances.len() <= most {
        return;
    }
    let instances = &segmentation.instances;
    let mut order: Vec<usize> = (0..instances.len()).collect();
    // Stable: of equal scores the first is the better.
    order.sort_by(|a, b| instances[*b].score.total_cmp(&instances[*a].score));
    let mut kept = vec![false; order.len()];
    order.iter().take(most).for_each(|index| kept[*index] = true);
    let mut kept = kept.into_iter();
    segmentation.instances.retain(|_| kept.next() == Some(true));
}

#[cfg(test)]
mod tests {
    use percept_core::segment::Instance;

    use super::*;

    fn mask(rows: &[&str], sign: u8) -> Mask {
        let pixels: Vec<u8> =
            rows.iter().flat_map(|row| row.bytes().map(|byte| u8::from(byte == sign))).collect();
        Mask::from_pixels(rows[0].len() as u32, rows.len() as u32, &pixels)
    }

    /// One instance a sign, with scores 0.9, 0.8, and so on.
    fn drawn(kind: SegmentationKind, rows: &[&str], signs: &[u8]) -> Segmentation {
        let label = |id: usize| Some(Label { id: id as u32, name: ["cat", "Dog", "hot dog"][id].into() });
        let instances = signs.iter().enumerate().map(|(index, sign)| {
            Instance::new(index as u32 + 1, mask(rows, *sign), 0.9 - index as f32 / 10.0, label(index))
        });
        let (width, height) = (rows[0].len() as u32, rows.len() as u32);
        Segmentation { width, height, kind, instances: instances.collect() }
    }

    fn vocabulary() -> Vec<Label> {
        ["cat", "Dog", "hot dog"]
            .iter()
            .enumerate()
            .map(|(id, name)| Label { id: id as u32, name: (*name).into() })
            .collect()
    }

    const ROWS: [&str; 4] = ["aaaa.b", "a.ba..", "aaaac.", "..a.c."];

    #[test]
    fn nothing_asked_nothing_done() {
        let found = drawn(SegmentationKind::Instance, &ROWS, b"abc");
        assert_eq!(refine(found.clone(), &SegmentOptions::default(), &[]).unwrap(), found);
    }

    #[test]
    fn holes_are_filled_where_nobody_else_is() {
        let options = SegmentOptions { fill_holes: 3, ..SegmentOptions::default() };
        let areas = |kind| {
            let found = refine(drawn(kind, &ROWS, b"abc"), &options, &vocabulary()).unwrap();
            found.instances.iter().map(|instance| instance.area).collect::<Vec<_>>()
        };
        assert_eq!(areas(SegmentationKind::Instance), [13, 2, 2]);
        assert_eq!(areas(SegmentationKind::Panoptic), [12, 2, 2]);
        let two = SegmentOptions { fill_holes: 2, ..options.clone() };
        let found = refine(drawn(SegmentationKind::Instance, &ROWS, b"abc"), &two, &[]).unwrap();
        assert_eq!(found.instances[0].area, 11, "a hole of two pixels is not smaller than two");
    }

    #[test]
    fn small_parts_go_and_numbers_close_up() {
        let options = SegmentOptions { min_area: 2, ..SegmentOptions::default() };
        let found = refine(drawn(SegmentationKind::Instance, &ROWS, b"abc"), &options, &[]).unwrap();
        assert_eq!(found.instances.iter().map(|i| (i.id, i.area)).collect::<Vec<_>>(), [(1, 11), (2, 2)]);
        assert_eq!(found.instances[1].bounding_box, [4, 2, 5, 4]);
    }

    #[test]
    fn the_best_stay_in_their_order() {
        let mut found = drawn(SegmentationKind::Instance, &ROWS, b"abc");
        found.instances[0].score = 0.1;
        let options = SegmentOptions { max_instances: Some(2), ..SegmentOptions::default() };
        let kept = refine(found.clone(), &options, &[]).unwrap();
        let name = |i: &Instance| i.label.clone().unwrap().name;
        assert_eq!(
            kept.instances.iter().map(|i| (i.id, name(i))).collect::<Vec<_>>(),
            [(1, "Dog".into()), (2, "hot dog".into())]
        );
        let options = SegmentOptions { score: Some(0.75), ..options };
        assert_eq!(refine(found, &options, &[]).unwrap().instances.len(), 1);
    }

    #[test]
    fn stability_counts_both_cut_offs() {
        assert_eq!(stability_score(&[-2.0, -0.5, 0.5, 1.5], 0.0, 1.0), 1.0 / 3.0);
        assert_eq!(stability_score(&[-2.0], 0.0, 1.0), 0.0);
    }
}
