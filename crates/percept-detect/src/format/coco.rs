//! Boxes in COCO's `instances` JSON.

use percept_core::coco::{Annotation, Coco, CocoSegmentation, Number, Rle};
use percept_core::detect::Detections;

/// Adds a picture and what was found in it; masks as compressed run lengths, where there are some.
pub fn push_coco(coco: &mut Coco, file_name: &str, found: &Detections) {
    let image_id = coco.image(file_name, (found.width, found.height));
    for detection in &found.detections {
        let category_id = coco.category(detection.label.id, &detection.label.name);
        let [left, top, right, bottom] = detection.bounding_box;
        let (width, height) = (right - left, bottom - top);
        let area = detection.mask.as_ref().map(|mask| Number(mask.area() as f64));
        coco.push(Annotation {
            image_id,
            category_id,
            bbox: [left, top, width, height].map(Number::from),
            area: area.unwrap_or(Number::from(width * height)),
            score: detection.score,
            segmentation: detection.mask.as_ref().map(|mask| CocoSegmentation::Rle(Rle::compressed(mask))),
            ..Annotation::default()
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::format::tests::found;

    #[test]
    fn boxes_are_left_top_width_height() {
        let mut coco = Coco::default();
        push_coco(&mut coco, "a.jpg", &found());
        let first = serde_json::to_value(&coco.annotations()[0]).unwrap();
        assert_eq!(
            first,
            json!({
                "id": 1, "image_id": 1, "category_id": 3, "bbox": [10, 20, 40.5, 40.25], "area": 1630.125,
                "iscrowd": 0, "score": 0.875,
            })
        );
        assert_eq!(coco.categories().len(), 2);
    }
}
