//! Boxes of several looks at one picture, made one a thing: by non-maximum suppression, or by weighted box fusion
//! (Solovyev et al. 2021, "Weighted boxes fusion: Ensembling boxes from different object detection models", arXiv
//! 1910.13302; the authors' package `ensemble_boxes` 1.0.9).

use percept_backbone::{box_iou, nms, nms_by_class};
use percept_core::detect::{Detection, Nms, NmsScope};

/// How boxes that overlap become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Merge {
    /// The best stays.
    Suppress(Nms),
    /// Boxes of one class that overlap more than this (IoU) become their mean, weighted by their scores; the score is
    /// the plain mean.
    Fuse {
        /// Intersection over union.
        iou: f32,
    },
}

/// One a thing, best first.
pub(crate) fn merge(detections: Vec<Detection>, how: Merge) -> Vec<Detection> {
    let mut detections = detections;
    // Stable: of equal scores the first comes first.
    detections.sort_by(|a, b| b.score.total_cmp(&a.score));
    match how {
        Merge::Suppress(nms) => suppressed(detections, nms),
        Merge::Fuse { iou } => fused(detections, iou),
    }
}

/// What non-maximum suppression leaves, best first.
pub(crate) fn suppressed(detections: Vec<Detection>, Nms { iou, scope }: Nms) -> Vec<Detection> {
    let boxes: Vec<[f32; 4]> = detections.iter().map(|detection| detection.bounding_box).collect();
    let scores: Vec<f32> = detections.iter().map(|detection| detection.score).collect();
    let kept = match scope {
        NmsScope::Agnostic => nms(&boxes, &scores, iou),
        NmsScope::Class => {
            let classes: Vec<u32> = detections.iter().map(|detection| detection.label.id).collect();
            nms_by_class(&boxes, &scores, &classes, iou)
        }
    };
    let mut detections: Vec<Option<Detection>> = detections.into_iter().map(Some).collect();
    kept.into_iter().filter_map(|index| detections[index].take()).collect()
}

/// Boxes that stand for one thing.
struct Cluster {
    /// With the best score's label and mask, and the weighted box.
    fused: Detection,
    /// Sums over the boxes: each corner times its score, scores, and how many.
    corners: [f64; 4],
    scores: f64,
    count: f64,
}

impl Cluster {
    fn of(first: Detection) -> Self {
        let mut cluster = Self { corners: [0.0; 4], scores: 0.0, count: 0.0, fused: first.clone() };
        cluster.take(&first);
        cluster
    }

    fn take(&mut self, detection: &Detection) {
        let score = f64::from(detection.score);
        for (sum, corner) in self.corners.iter_mut().zip(detection.bounding_box) {
            *sum += f64::from(corner) * score;
        }
        self.scores += score;
        self.count += 1.0;
        if self.scores > 0.0 {
            self.fused.bounding_box = self.corners.map(|sum| (sum / self.scores) as f32);
        }
        self.fused.score = (self.scores / self.count) as f32;
    }
}

/// Weighted box fusion of boxes that come best first.
fn fused(detections: Vec<Detection>, iou: f32) -> Vec<Detection> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for detection in detections {
        let same_class = |cluster: &&mut Cluster| cluster.fused.label.id == detection.label.id;
        let near = clusters.iter_mut().filter(same_class).map(|cluster| {
            let overlap = box_iou(cluster.fused.bounding_box, detection.bounding_box);
            (overlap, cluster)
        });
        // The first of equals, as the reference's argmax.
        let best = near.reduce(|best, other| if other.0 > best.0 { other } else { best });
        match best {
            Some((overlap, cluster)) if overlap > iou => cluster.take(&detection),
            _ => clusters.push(Cluster::of(detection)),
        }
    }
    let mut fused: Vec<Detection> = clusters.into_iter().map(|cluster| cluster.fused).collect();
    fused.sort_by(|a, b| b.score.total_cmp(&a.score));
    fused
}

#[cfg(test)]
mod tests {
    use percept_core::detect::Label;
    use serde_json::Value;

    use super::*;

    fn detections(case: &Value) -> Vec<Detection> {
        let all = case["boxes"].as_array().unwrap().iter().zip(case["scores"].as_array().unwrap());
        let all = all.zip(case["labels"].as_array().unwrap());
        let one = |((corners, score), label): ((&Value, &Value), &Value)| Detection {
            label: Label { id: label.as_u64().unwrap() as u32, name: label.to_string() },
            score: score.as_f64().unwrap() as f32,
            bounding_box: serde_json::from_value(corners.clone()).unwrap(),
            mask: None,
        };
        all.map(one).collect()
    }

    /// `tests/reference/box_fusion.py`.
    #[test]
    fn boxes_are_fused_as_ensemble_boxes_does() {
        let path = percept_golden::folder("box-fusion").join("cases.json");
        let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for case in document.as_array().unwrap() {
            let iou = case["iou"].as_f64().unwrap() as f32;
            let found = merge(detections(&case["input"]), Merge::Fuse { iou });
            let wanted = detections(&case["output"]);
            assert_eq!(found.len(), wanted.len());
            for (found, wanted) in found.iter().zip(&wanted) {
                assert_eq!(found.label, wanted.label);
                assert!((found.score - wanted.score).abs() < 1e-5);
                let pairs = found.bounding_box.iter().zip(wanted.bounding_box);
                assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {wanted:?}");
            }
        }
    }
}
