//! COCO's `person_keypoints` JSON: images, annotations, categories.

use std::collections::HashMap;

use percept_core::pose::{Keypoint, KeypointScheme, Pose, Poses};
use percept_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::HALF_A_PIXEL;

/// A COCO file that pictures, and other files, are added to. It serialises to the file's JSON and back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Coco {
    images: Vec<CocoImage>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

/// One entry of `images`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CocoImage {
    /// From 1.
    pub id: u64,
    /// As it was given to [`Coco::push`].
    pub file_name: String,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// One entry of `annotations`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Annotation {
    /// From 1, over all images.
    pub id: u64,
    /// [`CocoImage::id`].
    pub image_id: u64,
    /// [`Category::id`].
    pub category_id: u32,
    /// x, y and v in turn: 2 where the keypoint is seen, 1 where it is not. The centre of the first pixel is (0, 0).
    pub keypoints: Vec<f32>,
    /// The score of each keypoint, which COCO's own files do not have and readers leave out.
    #[serde(default)]
    pub keypoint_scores: Vec<f32>,
    /// Keypoints whose v is above 0, which are all: COCO's definition.
    pub num_keypoints: usize,
    /// Left, top, width, height in pixels.
    pub bbox: [f32; 4],
    /// Of the box.
    pub area: f32,
    /// Always 0.
    pub iscrowd: u8,
    /// Of the pose, as in COCO's results format.
    pub score: f32,
}

/// One entry of `categories`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// 1 for the first, which is COCO's number for people.
    pub id: u32,
    /// `person`, or what an animal was taken for.
    pub name: String,
    /// Names of the keypoints.
    pub keypoints: Vec<String>,
    /// Pairs of keypoints, from 1.
    pub skeleton: Vec<[usize; 2]>,
}

impl Coco {
    /// A file without pictures.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a picture and the poses in it.
    pub fn push(&mut self, file_name: &str, poses: &Poses) {
        let image_id = self.images.len() as u64 + 1;
        let (width, height) = (poses.width, poses.height);
        self.images.push(CocoImage { id: image_id, file_name: file_name.to_owned(), width, height });
        for pose in &poses.poses {
            let category_id = self.category(category(pose, &poses.scheme));
            let [left, top, right, bottom] = pose.bounding_box;
            let (width, height) = (right - left, bottom - top);
            let flat = |keypoint: &Keypoint| {
                let v = if keypoint.seen { 2.0 } else { 1.0 };
                [keypoint.x - HALF_A_PIXEL, keypoint.y - HALF_A_PIXEL, v]
            };
            self.annotations.push(Annotation {
                id: self.annotations.len() as u64 + 1,
                image_id,
                category_id,
                keypoints: pose.keypoints.iter().flat_map(flat).collect(),
                keypoint_scores: pose.keypoints.iter().map(|keypoint| keypoint.score).collect(),
                num_keypoints: pose.keypoints.len(),
                bbox: [left, top, width, height],
                area: width * height,
                iscrowd: 0,
                score: pose.score,
            });
        }
    }

    /// Adds all of another file, renumbered; its categories join those that are alike here.
    ///
    /// # Errors
    /// [`Error::Argument`]: an annotation is of an image or a category that the other file does not have.
    pub fn append(&mut self, other: Self) -> Result<()> {
        let first = self.images.len() as u64 + 1;
        let images: HashMap<u64, u64> = other.images.iter().map(|image| image.id).zip(first..).collect();
        let categories: HashMap<u32, u32> =
            other.categories.into_iter().map(|one| (one.id, self.category(one))).collect();
        self.images
            .extend(other.images.into_iter().zip(first..).map(|(image, id)| CocoImage { id, ..image }));
        let missing = |what: &str, id: u64| {
            Error::argument(format!("an annotation is of {what} {id}, which is not there"))
        };
        for annotation in other.annotations {
            let (image, category) = (annotation.image_id, annotation.category_id);
            self.annotations.push(Annotation {
                id: self.annotations.len() as u64 + 1,
                image_id: *images.get(&image).ok_or_else(|| missing("image", image))?,
                category_id: *categories
                    .get(&category)
                    .ok_or_else(|| missing("category", u64::from(category)))?,
                ..annotation
            });
        }
        Ok(())
    }

    /// The pictures so far.
    pub fn images(&self) -> &[CocoImage] {
        &self.images
    }

    /// The poses so far.
    pub fn annotations(&self) -> &[Annotation] {
        &self.annotations
    }

    /// The kinds of subjects so far.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// The number of a category in this file, whatever its number elsewhere.
    fn category(&mut self, wanted: Category) -> u32 {
        let alike = |one: &&Category| {
            (&one.name, &one.keypoints, &one.skeleton) == (&wanted.name, &wanted.keypoints, &wanted.skeleton)
        };
        if let Some(known) = self.categories.iter().find(alike) {
            return known.id;
        }
        let id = self.categories.len() as u32 + 1;
        self.categories.push(Category { id, ..wanted });
        id
    }
}

/// What a pose is of. A set of people's keypoints is of people, whatever a detector called them.
fn category(pose: &Pose, scheme: &KeypointScheme) -> Category {
    let label = pose.label.as_ref().map(|label| label.name.as_str());
    let name = match scheme.set {
        Some(set) if !set.of_animals() => "person",
        Some(_) => label.unwrap_or("animal"),
        None => label.unwrap_or("object"),
    };
    Category {
        id: 0,
        name: name.to_owned(),
        keypoints: scheme.names.clone(),
        skeleton: scheme.skeleton.iter().map(|pair| pair.map(|end| end + 1)).collect(),
    }
}
