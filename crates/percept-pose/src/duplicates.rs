//! Poses that are one and the same subject's.

use percept_core::pose::{Keypoint, Pose};

/// How alike two poses are, 0 to 1: object keypoint similarity (OKS), COCO's formula with the mean of both areas for the
/// size, as mmpose's `oks_iou` has it. All keypoints count, seen or not.
///
/// `sigmas` is one a keypoint, as [`KeypointScheme::sigmas`](percept_core::pose::KeypointScheme::sigmas); areas are in
/// square pixels.
pub fn oks(a: &[Keypoint], b: &[Keypoint], areas: [f32; 2], sigmas: &[f32]) -> f64 {
    let area = (f64::from(areas[0]) + f64::from(areas[1])) / 2.0 + f64::EPSILON;
    let mut count = 0;
    let likeness = |((a, b), sigma): ((&Keypoint, &Keypoint), &f32)| {
        count += 1;
        let (dx, dy) = (f64::from(a.x) - f64::from(b.x), f64::from(a.y) - f64::from(b.y));
        let variance = (2.0 * f64::from(*sigma)).powi(2);
        (-(dx * dx + dy * dy) / variance / area / 2.0).exp()
    };
    let sum: f64 = a.iter().zip(b).zip(sigmas).map(likeness).sum();
    if count == 0 { 0.0 } else { sum / f64::from(count) }
}

/// Which poses stay, in their order: of two that are alike by more than `threshold` the one with the better score, the
/// best first (mmpose's `oks_nms`). `areas` is one a pose.
pub(crate) fn kept(poses: &[Pose], areas: &[f32], sigmas: &[f32], threshold: f32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..poses.len()).collect();
    // Stable: of equal scores the first stays.
    order.sort_by(|a, b| poses[*b].score.total_cmp(&poses[*a].score));
    let mut kept: Vec<usize> = Vec::new();
    for index in order {
        let like = |other: &usize| {
            let areas = [areas[*other], areas[index]];
            oks(&poses[*other].keypoints, &poses[index].keypoints, areas, sigmas) > f64::from(threshold)
        };
        if !kept.iter().any(like) {
            kept.push(index);
        }
    }
    kept.sort_unstable();
    kept
}
