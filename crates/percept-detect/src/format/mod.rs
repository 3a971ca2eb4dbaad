//! Results as text: the `result` of percept's own JSON, COCO, YOLO, Pascal VOC, LabelMe and CSV.
//!
//! Coordinates are those of `percept_core::Image`: corners of pixels are whole numbers. Pascal VOC alone counts pixels,
//! from 1, and names the last one instead of its edge.

mod coco;
mod csv;
mod labelme;
mod record;
mod voc;
mod yolo;

pub use coco::push_coco;
pub use csv::csv;
pub use labelme::LabelMe;
pub use record::{DetectRecord, DetectionRecord};
pub use voc::voc;
pub use yolo::yolo;

#[cfg(test)]
pub(crate) mod tests {
    use percept_core::detect::{Detection, Detections, Label};

    /// Two boxes in a picture of 200 by 100 pixels.
    pub(crate) fn found() -> Detections {
        let detection = |id: u32, name: &str, score: f32, bounding_box: [f32; 4]| Detection {
            label: Label { id, name: name.into() },
            score,
            bounding_box,
            mask: None,
        };
        let detections = vec![
            detection(3, "cat & <dog>", 0.875, [10.0, 20.0, 50.5, 60.25]),
            detection(0, "a, \"b\"", 0.5, [0.0, 0.0, 200.0, 100.0]),
        ];
        Detections { width: 200, height: 100, detections }
    }
}
