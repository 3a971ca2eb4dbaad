//! Non-maximum suppression of boxes, with the meaning of `torchvision.ops.nms`.

/// Which boxes stay: from the best score down, each that overlaps no box kept before it by more than `threshold` (IoU).
/// The indices come best first; of equal scores the first box is the better. Boxes are left, top, right, bottom.
///
/// # Panics
/// If there are more boxes than scores, or fewer.
pub fn nms(boxes: &[[f32; 4]], scores: &[f32], threshold: f32) -> Vec<usize> {
    nms_by_class(boxes, scores, &vec![0; boxes.len()], threshold)
}

/// The same where only boxes of one class compete: `torchvision.ops.batched_nms`.
///
/// # Panics
/// If there is not one score and one class a box.
pub fn nms_by_class(boxes: &[[f32; 4]], scores: &[f32], classes: &[u32], threshold: f32) -> Vec<usize> {
    assert_eq!((boxes.len(), boxes.len()), (scores.len(), classes.len()), "one score and one class a box");
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut kept: Vec<usize> = Vec::new();
    for index in order {
        let beaten = |better: &usize| {
            classes[*better] == classes[index] && box_iou(boxes[*better], boxes[index]) > threshold
        };
        if !kept.iter().any(beaten) {
            kept.push(index);
        }
    }
    kept
}

/// Intersection over union of two boxes; 0 where both are empty.
pub fn box_iou(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |[left, top, right, bottom]: [f32; 4]| (right - left) * (bottom - top);
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let common = width * height;
    let union = area(a) + area(b) - common;
    if union > 0.0 { common / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_same_boxes_stay_as_in_torchvision() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/nms/nms.json");
        let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(cases.len() > 5);
        for case in cases {
            let boxes: Vec<[f32; 4]> = serde_json::from_value(case["boxes"].clone()).unwrap();
            let scores: Vec<f32> = serde_json::from_value(case["scores"].clone()).unwrap();
            let classes: Vec<u32> = serde_json::from_value(case["classes"].clone()).unwrap();
            let wanted = |name: &str| serde_json::from_value::<Vec<usize>>(case[name].clone()).unwrap();
            let threshold = case["threshold"].as_f64().unwrap() as f32;
            assert_eq!(nms(&boxes, &scores, threshold), wanted("kept"));
            assert_eq!(nms_by_class(&boxes, &scores, &classes, threshold), wanted("kept_by_class"));
        }
    }

    #[test]
    fn empty_boxes_stay() {
        assert_eq!(nms(&[], &[], 0.5), [0_usize; 0]);
        assert_eq!(nms(&[[1.0; 4], [1.0; 4]], &[0.1, 0.2], 0.5), [1, 0]);
        assert_eq!(box_iou([0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0]), 1.0 / 3.0);
    }
}
