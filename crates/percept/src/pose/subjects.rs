//! Boxes from a file.

use std::path::{Path, PathBuf};

use percept_core::pose::Subject;
use percept_core::{Error, Result};
use percept_pose::subjects::{self, FileSubject};

/// The boxes that a file has, of one picture or, where it names them, of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Boxes {
    path: PathBuf,
    boxes: Vec<FileSubject>,
}

impl Boxes {
    /// Reads percept's own detections, or a COCO-style list `[{"bbox": [x, y, width, height]}]`.
    ///
    /// # Errors
    /// [`Error::Input`]: the file cannot be read or has neither form.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::input(path, error))?;
        let boxes = subjects::read(&text).map_err(|error| Error::input(path, error))?;
        Ok(Self { path: path.to_owned(), boxes })
    }

    /// Whether the file says which picture each box is of.
    pub fn name_pictures(&self) -> bool {
        self.boxes.iter().any(|subject| subject.image.is_some())
    }

    /// Those of a picture: all where the file names no pictures, else those whose `image_id` is the picture's name, with
    /// or without its extension.
    ///
    /// # Errors
    /// [`Error::Argument`]: the file names pictures, and none of them is this one.
    pub fn of(&self, picture: &Path) -> Result<Vec<Subject>> {
        if !self.name_pictures() {
            return Ok(self.boxes.iter().map(|boxed| boxed.subject.clone()).collect());
        }
        let names = [picture.file_name(), picture.file_stem()];
        let is_it = |boxed: &&FileSubject| {
            let image = boxed.image.as_deref();
            names.iter().flatten().any(|name| image.is_some_and(|image| **name == *image))
        };
        let found: Vec<Subject> =
            self.boxes.iter().filter(is_it).map(|boxed| boxed.subject.clone()).collect();
        // With one picture's number throughout there is nothing to choose.
        let first = self.boxes.first().and_then(|boxed| boxed.image.as_ref());
        if found.is_empty() && self.boxes.iter().all(|boxed| boxed.image.as_ref() == first) {
            return Ok(self.boxes.iter().map(|boxed| boxed.subject.clone()).collect());
        }
        if found.is_empty() {
            return Err(Error::Argument {
                message: format!("`{}` has no boxes of `{}`", self.path.display(), picture.display()),
                hint: Some(
                    "its `image_id`s are taken for names of pictures, with or without extension".into(),
                ),
            });
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(text: &str) -> Boxes {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boxes.json");
        std::fs::write(&path, text).unwrap();
        Boxes::read(&path).unwrap()
    }

    #[test]
    fn boxes_belong_to_the_picture_that_they_name() {
        let several = boxes(
            r#"[{"bbox": [0, 0, 4, 4], "image_id": "a.jpg"}, {"bbox": [1, 1, 2, 2], "image_id": "b"},
                {"bbox": [2, 2, 2, 2], "image_id": "b"}]"#,
        );
        assert_eq!(several.of(Path::new("x/a.jpg")).unwrap().len(), 1);
        assert_eq!(several.of(Path::new("b.png")).unwrap()[0].bounding_box, [1.0, 1.0, 3.0, 3.0]);
        assert!(several.of(Path::new("c.png")).unwrap_err().chain().contains("no boxes"));
        let one =
            boxes(r#"[{"bbox": [0, 0, 4, 4], "image_id": 17}, {"bbox": [1, 1, 2, 2], "image_id": 17}]"#);
        assert_eq!(one.of(Path::new("c.png")).unwrap().len(), 2);
        assert_eq!(boxes(r#"[{"bbox": [0, 0, 4, 4]}]"#).of(Path::new("c.png")).unwrap().len(), 1);
    }
}
