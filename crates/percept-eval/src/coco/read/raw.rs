//! COCO's JSON, leniently.

use serde::Deserialize;
use serde_json::Value;

use super::Object;

#[derive(Deserialize)]
pub(super) struct File {
    pub(super) images: Vec<Image>,
    pub(super) annotations: Vec<Annotation>,
    #[serde(default)]
    pub(super) categories: Vec<Category>,
}

#[derive(Deserialize)]
pub(super) struct Image {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) file_name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Category {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct Annotation {
    #[serde(default)]
    pub(super) id: Option<i64>,
    pub(super) image_id: i64,
    pub(super) category_id: i64,
    #[serde(default)]
    pub(super) bbox: Option<Vec<f64>>,
    #[serde(default)]
    area: Option<f64>,
    /// A number or a boolean.
    #[serde(default)]
    iscrowd: Value,
    #[serde(default)]
    pub(super) score: Option<f64>,
    #[serde(default)]
    pub(super) keypoints: Option<Vec<f64>>,
    #[serde(default)]
    num_keypoints: Option<usize>,
}

impl Annotation {
    /// The left, top, width and height; an empty list is none.
    pub(super) fn bounding_box(&self) -> Option<[f64; 4]> {
        self.bbox.as_deref().and_then(|bbox| bbox.try_into().ok())
    }

    pub(super) fn object(self, id: i64) -> Object {
        let bbox = self.bounding_box();
        let seen = || {
            let triples = self.keypoints.iter().flat_map(|keypoints| keypoints.chunks_exact(3));
            triples.filter(|point| point[2] > 0.0).count()
        };
        Object {
            id,
            image: self.image_id,
            class: self.category_id,
            bbox,
            area: self.area.or(bbox.map(|[_, _, width, height]| width * height)).unwrap_or(0.0),
            crowd: self.iscrowd.as_bool().unwrap_or(self.iscrowd.as_i64().is_some_and(|flag| flag != 0)),
            score: self.score.unwrap_or(0.0),
            visible: self.num_keypoints.unwrap_or_else(seen),
            keypoints: self.keypoints,
        }
    }
}
