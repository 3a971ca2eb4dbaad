//! COCO's JSON, which tasks write and evaluations read: images, annotations, categories
//! (<https://cocodataset.org/#format-data>), with the scores of its results format.

mod number;
mod rle;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::segment::Label;
use crate::{Error, Result};

pub use number::Number;
pub use rle::{Counts, Rle};

/// The category of what has no class.
pub const NO_CLASS: &str = "object";

/// A COCO file that pictures, and other files, are added to. It serialises to the file's JSON and back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// As it was given to [`Coco::image`].
    pub file_name: String,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// One entry of `annotations`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Annotation {
    /// From 1, over all images; [`Coco::push`] gives it.
    pub id: u64,
    /// [`CocoImage::id`].
    pub image_id: u64,
    /// [`Category::id`].
    pub category_id: u32,
    /// Left, top, width, height in pixels.
    pub bbox: [Number; 4],
    /// Pixels of the mask, or of the box where there is none.
    pub area: Number,
    /// Always 0: every annotation is one object or one stretch of stuff.
    pub iscrowd: u8,
    /// How sure the model is, as in COCO's results format.
    pub score: f32,
    /// The mask, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub segmentation: Option<CocoSegmentation>,
    /// x, y and visibility (0 not given, 1 hidden, 2 seen) in turn, where there are keypoints.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub keypoints: Option<Vec<Number>>,
    /// How many of them have a visibility above 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub num_keypoints: Option<usize>,
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
    /// Names of the keypoints, where annotations have some.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub keypoints: Option<Vec<String>>,
    /// Pairs of keypoints that are joined, numbered from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub skeleton: Option<Vec<[u32; 2]>>,
}

impl Coco {
    /// Declares classes of a model, so that the file names them whether or not they were found.
    pub fn declare(&mut self, classes: &[Label]) {
        for label in classes {
            self.category(label.id, &label.name);
        }
    }

    /// Adds a picture, and gives its number.
    pub fn image(&mut self, file_name: &str, (width, height): (u32, u32)) -> u64 {
        let id = self.images.len() as u64 + 1;
        self.images.push(CocoImage { id, file_name: file_name.to_owned(), width, height });
        id
    }

    /// Adds an annotation, numbered anew.
    pub fn push(&mut self, annotation: Annotation) {
        self.annotations.push(Annotation { id: self.annotations.len() as u64 + 1, ..annotation });
    }

    /// Adds all of another file, renumbered; its classes join those of their names here.
    ///
    /// # Errors
    /// [`Error::Argument`]: an annotation is of an image or a category that the other file does not have.
    pub fn append(&mut self, other: Self) -> Result<()> {
        let first = self.images.len() as u64 + 1;
        let images: HashMap<u64, u64> = other.images.iter().map(|image| image.id).zip(first..).collect();
        let mut categories = HashMap::new();
        for category in other.categories {
            categories.insert(category.id, self.join(category));
        }
        self.images
            .extend(other.images.into_iter().zip(first..).map(|(image, id)| CocoImage { id, ..image }));
        let missing = |what: &str, id: u64| {
            Error::argument(format!("an annotation is of {what} {id}, which is not there"))
        };
        for annotation in other.annotations {
            let (image, category) = (annotation.image_id, annotation.category_id);
            self.push(Annotation {
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

    /// The annotations so far.
    pub fn annotations(&self) -> &[Annotation] {
        &self.annotations
    }

    /// The classes so far.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// The number of a class in this file: its own, or a free one where another class has that.
    pub fn category(&mut self, id: u32, name: &str) -> u32 {
        self.join(Category { id, name: name.to_owned(), keypoints: None, skeleton: None })
    }

    /// [`Coco::category`] of a class that has more than a name. Classes of one name with other keypoints are two.
    pub fn join(&mut self, category: Category) -> u32 {
        let alike = |known: &&Category| known.name == category.name && known.keypoints == category.keypoints;
        let known = self.categories.iter().filter(alike);
        let taken = |id: u32| self.categories.iter().any(|category| category.id == id);
        if let Some(known) = known.min_by_key(|known| known.id != category.id) {
            return known.id;
        }
        let id = match taken(category.id) {
            true => (1..).find(|id| !taken(*id)).unwrap_or(category.id),
            false => category.id,
        };
        self.categories.push(Category { id, ..category });
        id
    }
}
