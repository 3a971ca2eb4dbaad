//! COCO's files: a truth, and results as a list or as a file of the truth's form with scores.
//!
//! These are not `percept_core::coco`'s types: those are what we write, and strict; these take what the world writes
//! (no areas, `iscrowd` as a boolean, numbers of any kind), and keep only what is scored.

mod raw;
mod results;

use std::collections::HashMap;
use std::path::Path;

use percept_core::{Error, Result};

pub use results::Results;

/// What is true: the images, classes and objects of a COCO file.
#[derive(Clone, Debug)]
pub struct Truth {
    /// Ids, ascending.
    pub(crate) images: Vec<i64>,
    file_names: HashMap<String, i64>,
    /// Id and name, by id.
    pub(crate) classes: Vec<(i64, String)>,
    /// In the order of the file.
    pub(crate) objects: Vec<Object>,
}

/// One annotation: of a truth, or of results.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) id: i64,
    pub(crate) image: i64,
    pub(crate) class: i64,
    /// Left, top, width, height in pixels.
    pub(crate) bbox: Option<[f64; 4]>,
    /// Square pixels.
    pub(crate) area: f64,
    pub(crate) crowd: bool,
    /// 0 for what is true.
    pub(crate) score: f64,
    /// x, y and visibility in turn.
    pub(crate) keypoints: Option<Vec<f64>>,
    /// `num_keypoints`, or as many as have a visibility above 0.
    pub(crate) visible: usize,
}

impl Truth {
    /// Of a file's text; `path` is for errors.
    ///
    /// # Errors
    /// [`Error::Input`]: it is no COCO file, or contradicts itself.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let wrong = |message: String| Error::Input {
            path: path.to_owned(),
            cause: message.into(),
            hint: Some("a truth is a COCO file with `images`, `annotations` and `categories`".into()),
        };
        let file: raw::File = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let mut images: Vec<i64> = file.images.iter().map(|image| image.id).collect();
        images.sort_unstable();
        images.dedup();
        let named = |image: raw::Image| image.file_name.map(|name| (name, image.id));
        let file_names = file.images.into_iter().filter_map(named).collect();
        let mut classes: Vec<(i64, String)> =
            file.categories.into_iter().map(|class| (class.id, class.name)).collect();
        classes.sort();
        classes.dedup_by_key(|class| class.0);
        let mut seen = HashMap::new();
        let mut objects = Vec::with_capacity(file.annotations.len());
        for (at, annotation) in file.annotations.into_iter().enumerate() {
            let id = annotation.id.unwrap_or(at as i64 + 1);
            if seen.insert(id, ()).is_some() {
                return Err(wrong(format!("two annotations have the id {id}")));
            }
            let object = annotation.object(id);
            if images.binary_search(&object.image).is_err() {
                return Err(wrong(format!(
                    "annotation {id} is of image {}, which is not there",
                    object.image
                )));
            }
            if !classes.iter().any(|class| class.0 == object.class) {
                let class = object.class;
                return Err(wrong(format!("annotation {id} is of category {class}, which is not there")));
            }
            objects.push(object);
        }
        Ok(Self { images, file_names, classes, objects })
    }

    /// How many images there are.
    pub fn images(&self) -> usize {
        self.images.len()
    }

    fn has_image(&self, id: i64) -> bool {
        self.images.binary_search(&id).is_ok()
    }

    fn has_class(&self, id: i64) -> bool {
        self.classes.binary_search_by_key(&id, |class| class.0).is_ok()
    }
}
