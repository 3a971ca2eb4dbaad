//! What a model answered.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use percept_core::{Error, Result};
use serde_json::Value;

use super::raw::{Annotation, File};
use super::{Object, Truth};
use crate::files::bare;

/// What a model answered, with the truth's numbers of images and classes.
#[derive(Clone, Debug)]
pub struct Results {
    /// In the order of the file; of images and classes of the truth only.
    pub(crate) objects: Vec<Object>,
    /// What should be known of how the file was read, a sentence each.
    pub notes: Vec<String>,
}

impl Results {
    /// Of a file's text: COCO's results list, or a COCO file with scores, as `percept detect -f coco` writes it. `path`
    /// is for errors.
    ///
    /// A list has the truth's numbers. A file's images are the truth's of the same `file_name` (or, where that is not
    /// there, of the same name without folders), its classes those of the same name: its own numbers mean nothing to
    /// the truth. Classes that the truth does not have are left out, as pycocotools does, and named in the notes.
    ///
    /// # Errors
    /// [`Error::Input`]: it is neither; something has no score; an image is not in the truth; no class is.
    pub fn parse(path: &Path, text: &str, truth: &Truth) -> Result<Self> {
        let reader = Reader { path, truth };
        let value: Value = serde_json::from_str(text).map_err(|error| reader.wrong(error.to_string()))?;
        let listed = value.is_array();
        let annotations = if listed {
            let list: Vec<Annotation> =
                serde_json::from_value(value).map_err(|error| reader.wrong(error.to_string()))?;
            reader.check_images(&list)?;
            list.into_iter().map(|result| (result, None)).collect()
        } else {
            let file = serde_json::from_value(value).map_err(|error| reader.wrong(error.to_string()))?;
            reader.renumbered(file)?
        };
        let mut results = Self { objects: Vec::new(), notes: Vec::new() };
        let found = annotations.len();
        let mut unknown = BTreeSet::new();
        // pycocotools takes all areas from boxes where the first result has one, else from the keypoints' extent.
        let boxed = annotations.first().is_some_and(|(first, _)| first.bounding_box().is_some());
        for (at, (annotation, class)) in annotations.into_iter().enumerate() {
            if !truth.has_class(annotation.category_id) {
                unknown.insert(class.unwrap_or_else(|| annotation.category_id.to_string()));
                continue;
            }
            results.objects.push(reader.object(annotation, at, boxed)?);
        }
        if !unknown.is_empty() {
            let unknown: Vec<String> = unknown.into_iter().collect();
            if results.objects.is_empty() {
                return Err(Error::Input {
                    path: path.to_owned(),
                    cause: format!("none of its classes is in the truth ({})", some(&unknown)).into(),
                    hint: Some(match listed {
                        true => "`category_id` has to be the truth's number of the class".into(),
                        false => format!("the truth has {}", some(&truth.names())),
                    }),
                });
            }
            let left = found - results.objects.len();
            results.notes.push(format!(
                "{left} of {found} results are of classes that the truth does not have, and are left out: {}",
                some(&unknown)
            ));
        }
        Ok(results)
    }
}

impl Truth {
    fn names(&self) -> Vec<String> {
        self.classes.iter().map(|class| class.1.clone()).collect()
    }
}

struct Reader<'a> {
    path: &'a Path,
    truth: &'a Truth,
}

/// A result, and what its own file calls its class.
type Named = (Annotation, Option<String>);

impl Reader<'_> {
    fn wrong(&self, message: String) -> Error {
        Error::Input {
            path: self.path.to_owned(),
            cause: message.into(),
            hint: Some(
                "results are a list of {image_id, category_id, bbox or keypoints, score}, or a COCO file with \
                 scores, as `-f coco` writes it"
                    .into(),
            ),
        }
    }

    fn unknown_images(&self, images: &[String]) -> Error {
        Error::Input {
            path: self.path.to_owned(),
            cause: format!("the truth does not have its images {}", some(images)).into(),
            hint: Some("both have to be of the same images; images without results may be absent".into()),
        }
    }

    fn check_images(&self, list: &[Annotation]) -> Result<()> {
        let unknown: BTreeSet<i64> =
            list.iter().map(|result| result.image_id).filter(|id| !self.truth.has_image(*id)).collect();
        match unknown.is_empty() {
            true => Ok(()),
            false => Err(self.unknown_images(&unknown.iter().map(i64::to_string).collect::<Vec<_>>())),
        }
    }

    /// A file's annotations with the truth's numbers.
    fn renumbered(&self, file: File) -> Result<Vec<Named>> {
        let images = self.images(&file)?;
        let mut names: HashMap<&str, i64> = HashMap::new();
        for (id, name) in &self.truth.classes {
            names.entry(name).or_insert(*id);
        }
        let classes: HashMap<i64, &str> =
            file.categories.iter().map(|class| (class.id, class.name.as_str())).collect();
        let mut all = Vec::with_capacity(file.annotations.len());
        for mut annotation in file.annotations {
            let (image, class) = (annotation.image_id, annotation.category_id);
            annotation.image_id =
                *images.get(&image).ok_or_else(|| self.wrong(format!("it has no image {image}")))?;
            let name =
                *classes.get(&class).ok_or_else(|| self.wrong(format!("it has no category {class}")))?;
            // No class of the truth has this number where it does not have the name.
            annotation.category_id = names.get(name).copied().unwrap_or(i64::MIN);
            all.push((annotation, Some(name.to_owned())));
        }
        Ok(all)
    }

    /// The truth's numbers of a file's images that have results.
    fn images(&self, file: &File) -> Result<HashMap<i64, i64>> {
        let mut bares: HashMap<&str, Option<i64>> = HashMap::new();
        for (name, id) in &self.truth.file_names {
            bares.entry(bare(name)).and_modify(|known| *known = None).or_insert(Some(*id));
        }
        let with_results: BTreeSet<i64> = file.annotations.iter().map(|result| result.image_id).collect();
        let (mut images, mut unknown) = (HashMap::new(), Vec::new());
        let mut taken: BTreeMap<i64, &str> = BTreeMap::new();
        for image in file.images.iter().filter(|image| with_results.contains(&image.id)) {
            let name = image.file_name.as_deref().unwrap_or_default();
            let exact = self.truth.file_names.get(name).copied();
            let Some(id) = exact.or_else(|| bares.get(bare(name)).copied().flatten()) else {
                unknown.push(format!("`{name}`"));
                continue;
            };
            if let Some(other) = taken.insert(id, name) {
                return Err(self.wrong(format!("`{other}` and `{name}` are the same image of the truth")));
            }
            images.insert(image.id, id);
        }
        if unknown.is_empty() { Ok(images) } else { Err(self.unknown_images(&unknown)) }
    }

    fn object(&self, result: Annotation, at: usize, boxed: bool) -> Result<Object> {
        let wrong = |what: &str| self.wrong(format!("result {} {what}", at + 1));
        if result.score.is_none() {
            return Err(wrong("has no score"));
        }
        if boxed != result.bounding_box().is_some() {
            return Err(wrong("has a box, or lacks one, unlike the first"));
        }
        let extent = |keypoints: &[f64]| {
            let along = |axis: usize| {
                let values = keypoints.chunks_exact(3).map(|point| point[axis]);
                values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
            };
            if keypoints.len() < 3 { 0.0 } else { along(0) * along(1) }
        };
        let mut object = result.object(at as i64 + 1);
        object.area = match (object.bbox, &object.keypoints) {
            (Some([_, _, width, height]), _) => width * height,
            (None, Some(keypoints)) => extent(keypoints),
            (None, None) => return Err(wrong("has neither box nor keypoints")),
        };
        object.crowd = false;
        Ok(object)
    }
}

/// The first of many.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}
