//! LabelMe's JSON, as version 5 of the program reads and writes it.

use std::collections::BTreeMap;

use percept_core::coco::NO_CLASS;
use percept_core::segment::Segmentation;
use serde::Serialize;

use super::{outline, polygons};

/// The version of LabelMe whose files these are.
const VERSION: &str = "5.5.0";

/// One picture's file. It serialises to the file's JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelMe {
    version: &'static str,
    flags: BTreeMap<String, bool>,
    shapes: Vec<Shape>,
    image_path: String,
    /// The picture itself in base64; never written.
    image_data: Option<String>,
    image_height: u32,
    image_width: u32,
}

/// One connected part of an instance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shape {
    /// The class, or [`NO_CLASS`].
    pub label: String,
    /// Corners, x and y in pixels; holes are joined to the outline by bridges without width.
    pub points: Vec<[u32; 2]>,
    /// The instance's number where it has several parts.
    pub group_id: Option<u32>,
    /// The score.
    pub description: String,
    /// Always `polygon`.
    pub shape_type: &'static str,
    /// None.
    pub flags: BTreeMap<String, bool>,
    /// A bitmap; never written.
    pub mask: Option<String>,
}

impl LabelMe {
    /// What was found in the picture that lies at `image_path`, seen from the JSON file. Instances without a pixel
    /// are left out. `tolerance` is that of [`polygons`].
    pub fn new(image_path: &str, segmentation: &Segmentation, tolerance: f64) -> Self {
        let mut shapes = Vec::new();
        for instance in &segmentation.instances {
            let parts = polygons(&instance.mask, tolerance);
            let label = instance.label.as_ref().map_or(NO_CLASS, |label| &label.name);
            let group_id = (parts.len() > 1).then_some(instance.id);
            shapes.extend(parts.iter().map(|part| Shape {
                label: label.to_owned(),
                points: outline(part),
                group_id,
                description: format!("score {:.4}", instance.score),
                shape_type: "polygon",
                flags: BTreeMap::new(),
                mask: None,
            }));
        }
        Self {
            version: VERSION,
            flags: BTreeMap::new(),
            shapes,
            image_path: image_path.to_owned(),
            image_data: None,
            image_height: segmentation.height,
            image_width: segmentation.width,
        }
    }

    /// The parts, instance by instance.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }
}
