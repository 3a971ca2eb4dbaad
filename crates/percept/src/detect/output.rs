//! Detections as the bytes of files.

use percept_core::coco::Coco;
use percept_core::detect::{Detection, Detections, Image};
use percept_core::{Error, Result};
use percept_detect::format::{LabelMe, csv, push_coco, voc, yolo};
use percept_media::draw::{self, OverlayItem};
use percept_media::picture;

use super::Format;
use crate::output::{Rendered, json, numbered_name};

/// One picture's results on their way to files.
pub struct Answers<'a> {
    found: &'a Detections,
    image: &'a Image,
    file_name: &'a str,
}

impl<'a> Answers<'a> {
    /// Of a displayed picture that is called `file_name`.
    pub fn new(found: &'a Detections, image: &'a Image, file_name: &'a str) -> Self {
        Self { found, image, file_name }
    }

    /// The bytes of a format; [`Format::Json`] is an envelope around [`super::DetectRecord`], which the caller makes.
    ///
    /// # Errors
    /// [`Error::Argument`]: the format cannot hold the result.
    pub fn render(&self, format: Format) -> Result<Rendered> {
        Ok(Rendered::File(match format {
            Format::Json => return Err(Error::argument("this format is settled elsewhere")),
            Format::Png => picture::encode_png(&overlay(self.found, self.image))?,
            Format::Coco => {
                let mut coco = Coco::default();
                push_coco(&mut coco, self.file_name, self.found);
                json(&coco)?
            }
            Format::Yolo => yolo(self.found).into_bytes(),
            Format::Voc => voc(self.file_name, self.found)?,
            Format::LabelMe => json(&LabelMe::new(self.file_name, self.found))?,
            Format::Csv => csv(self.file_name, self.found)?,
            Format::Crops => return Ok(Rendered::Folder(self.crops()?)),
        }))
    }

    /// `001-person.png` for the first object.
    fn crops(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let count = self.found.detections.len();
        let file = |(index, detection): (usize, &Detection)| {
            let name = numbered_name(index + 1, count, &detection.label.name);
            Ok((name, picture::encode_png(&crop(self.image, detection))?))
        };
        self.found.detections.iter().enumerate().map(file).collect()
    }
}

/// The part of the picture in a box, all pixels that it touches, at least one.
pub(crate) fn crop(image: &Image, detection: &Detection) -> Image {
    let [left, top, right, bottom] = detection.bounding_box;
    let along = |low: f32, high: f32, size: u32| {
        let first = (low.floor() as u32).min(size.saturating_sub(1));
        (first, (high.ceil() as u32).clamp(first + 1, size.max(first + 1)) - first)
    };
    let ((x, width), (y, height)) = (along(left, right, image.width), along(top, bottom, image.height));
    image.crop(x, y, width, height)
}

/// The picture with boxes, labels and, where there are some, masks. A class keeps its colour from picture to picture.
pub(crate) fn overlay(found: &Detections, image: &Image) -> Image {
    let item = |detection| item(detection, String::new(), None);
    draw::overlay(image, &found.detections.iter().map(item).collect::<Vec<_>>())
}

/// The same of what is in a track, each with its number on it, and its colour.
pub(crate) fn overlay_tracked(found: &Detections, tracks: &[Option<u32>], image: &Image) -> Image {
    let followed = found.detections.iter().zip(tracks);
    let items: Vec<OverlayItem<'_>> = followed
        .filter_map(|(detection, track)| Some(item(detection, format!("#{} ", (*track)?), *track)))
        .collect();
    draw::overlay(image, &items)
}

fn item(detection: &Detection, before: String, track: Option<u32>) -> OverlayItem<'_> {
    OverlayItem {
        mask: detection.mask.as_ref(),
        bounding_box: Some(detection.bounding_box),
        label: format!("{before}{} {:.2}", detection.label.name, detection.score),
        color: track.unwrap_or(detection.label.id) as usize,
    }
}

#[cfg(test)]
mod tests {
    use percept_core::detect::Label;

    use super::*;

    #[test]
    fn a_crop_has_all_pixels_that_a_box_touches() {
        let image = Image::new(10, 8, (0..240).map(|value| value as u8).collect());
        let cropped = |bounding_box: [f32; 4]| {
            let label = Label { id: 0, name: "a".into() };
            crop(&image, &Detection { label, score: 1.0, bounding_box, mask: None }).size()
        };
        assert_eq!(cropped([0.0, 0.0, 10.0, 8.0]), (10, 8));
        assert_eq!(cropped([1.5, 2.0, 3.5, 4.0]), (3, 2));
        assert_eq!(cropped([10.0, 8.0, 10.0, 8.0]), (1, 1));
        assert_eq!(cropped([4.0, 4.0, 4.0, 4.0]), (1, 1));
    }
}
