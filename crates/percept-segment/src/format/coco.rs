//! COCO's `instances` JSON: images, annotations, categories.

use std::collections::HashMap;

use percept_core::segment::{Instance, Label, Segmentation};
use percept_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{NO_CLASS, Rle, outline, polygons};

/// How a COCO file holds masks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum CocoMasks {
    /// Run lengths as the string that pycocotools writes.
    #[default]
    Compressed,
    /// Run lengths as numbers.
    Uncompressed,
    /// A polygon for each connected part, holes joined to it by bridges without width. Parts of parts come out: an
    /// island in a hole is a part of its own, and readers unite parts. Instances without a pixel are left out.
    Polygons {
        /// How far, in pixels, a simplified outline may be from the mask's; 0 keeps it exact.
        tolerance: f64,
    },
}

/// A COCO file that pictures, and other files, are added to. It serialises to the file's JSON and back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Coco {
    images: Vec<CocoImage>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
    #[serde(skip)]
    masks: CocoMasks,
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
    /// Left, top, width, height in pixels.
    pub bbox: [u32; 4],
    /// Pixels of the mask.
    pub area: u64,
    /// Always 0: every annotation is one object or one stretch of stuff.
    pub iscrowd: u8,
    /// How sure the model is, as in COCO's results format.
    pub score: f32,
    /// The mask.
    pub segmentation: CocoSegmentation,
}

/// The mask of an [`Annotation`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CocoSegmentation {
    /// Run lengths.
    Rle(Rle),
    /// x and y in turn, a list a part.
    Polygons(Vec<Vec<u32>>),
}

/// One entry of `categories`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// The model's number of the class; another where two models gave two names one number.
    pub id: u32,
    /// Its name, or [`NO_CLASS`].
    pub name: String,
}

impl Coco {
    /// A file without pictures.
    pub fn new(masks: CocoMasks) -> Self {
        Self { masks, ..Self::default() }
    }

    /// Declares classes of a model, so that the file names them whether or not they were found.
    pub fn declare(&mut self, classes: &[Label]) {
        for label in classes {
            self.category(label.id, &label.name);
        }
    }

    /// Adds a picture and what was found in it.
    pub fn push(&mut self, file_name: &str, segmentation: &Segmentation) {
        let image_id = self.images.len() as u64 + 1;
        self.images.push(CocoImage {
            id: image_id,
            file_name: file_name.to_owned(),
            width: segmentation.width,
            height: segmentation.height,
        });
        for instance in &segmentation.instances {
            let Some(mask) = self.mask(instance) else { continue };
            let category_id = match &instance.label {
                Some(label) => self.category(label.id, &label.name),
                None => self.category(0, NO_CLASS),
            };
            let [left, top, right, bottom] = instance.bounding_box;
            self.annotations.push(Annotation {
                id: self.annotations.len() as u64 + 1,
                image_id,
                category_id,
                bbox: [left, top, right - left, bottom - top],
                area: instance.area,
                iscrowd: 0,
                score: instance.score,
                segmentation: mask,
            });
        }
    }

    /// Adds all of another file, renumbered; its classes join those of their names here.
    ///
    /// # Errors
    /// [`Error::Argument`]: an annotation is of an image or a category that the other file does not have.
    pub fn append(&mut self, other: Self) -> Result<()> {
        let first = self.images.len() as u64 + 1;
        let images: HashMap<u64, u64> = other.images.iter().map(|image| image.id).zip(first..).collect();
        let categories: HashMap<u32, u32> =
            other.categories.iter().map(|one| (one.id, self.category(one.id, &one.name))).collect();
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

    /// The instances so far.
    pub fn annotations(&self) -> &[Annotation] {
        &self.annotations
    }

    /// The classes so far.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    fn mask(&self, instance: &Instance) -> Option<CocoSegmentation> {
        Some(match self.masks {
            CocoMasks::Compressed => CocoSegmentation::Rle(Rle::compressed(&instance.mask)),
            CocoMasks::Uncompressed => CocoSegmentation::Rle(Rle::uncompressed(&instance.mask)),
            CocoMasks::Polygons { .. } if instance.area == 0 => return None,
            CocoMasks::Polygons { tolerance } => {
                let parts = polygons(&instance.mask, tolerance);
                CocoSegmentation::Polygons(parts.iter().map(|part| outline(part).concat()).collect())
            }
        })
    }

    /// The number of a class in this file: its own, or a free one where another class has that.
    fn category(&mut self, id: u32, name: &str) -> u32 {
        let known = self.categories.iter().filter(|category| category.name == name);
        let taken = |id: u32| self.categories.iter().any(|category| category.id == id);
        if let Some(category) = known.min_by_key(|category| category.id != id) {
            return category.id;
        }
        let id = if taken(id) { (1..).find(|id| !taken(*id)).unwrap_or(id) } else { id };
        self.categories.push(Category { id, name: name.to_owned() });
        id
    }
}
