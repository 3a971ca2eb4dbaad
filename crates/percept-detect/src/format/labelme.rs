//! LabelMe's JSON with rectangles, as version 5 of the program reads and writes it.

use std::collections::BTreeMap;

use percept_core::detect::{Detection, Detections};
use serde::Serialize;

/// The version of LabelMe whose files these are.
const VERSION: &str = "5.5.0";

/// One picture's file. It serialises to the file's JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelMe {
    version: &'static str,
    flags: BTreeMap<String, bool>,
    shapes: Vec<Rectangle>,
    image_path: String,
    /// The picture itself in base64; never written.
    image_data: Option<String>,
    image_height: u32,
    image_width: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Rectangle {
    label: String,
    /// The upper left and the lower right corner, x and y in pixels.
    points: [[f32; 2]; 2],
    group_id: Option<u32>,
    description: String,
    shape_type: &'static str,
    flags: BTreeMap<String, bool>,
    mask: Option<String>,
}

impl LabelMe {
    /// What was found in the picture that lies at `image_path`, seen from the JSON file.
    pub fn new(image_path: &str, found: &Detections) -> Self {
        let rectangle = |detection: &Detection| {
            let [left, top, right, bottom] = detection.bounding_box;
            Rectangle {
                label: detection.label.name.clone(),
                points: [[left, top], [right, bottom]],
                group_id: None,
                description: format!("score {:.4}", detection.score),
                shape_type: "rectangle",
                flags: BTreeMap::new(),
                mask: None,
            }
        };
        Self {
            version: VERSION,
            flags: BTreeMap::new(),
            shapes: found.detections.iter().map(rectangle).collect(),
            image_path: image_path.to_owned(),
            image_data: None,
            image_height: found.height,
            image_width: found.width,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::format::tests::found;

    #[test]
    fn a_rectangle_has_two_corners() {
        let value = serde_json::to_value(LabelMe::new("a.jpg", &found())).unwrap();
        assert_eq!(value["shapes"][0]["points"], json!([[10.0, 20.0], [50.5, 60.25]]));
        assert_eq!(value["shapes"][0]["shape_type"], "rectangle");
        assert_eq!((&value["imagePath"], &value["imageWidth"]), (&json!("a.jpg"), &json!(200)));
    }
}
