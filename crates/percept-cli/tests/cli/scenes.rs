//! The drawn scenes of tests/golden/shapes with their truth, and pictures made of them.

use std::path::Path;

use percept::media::picture::{self, PictureLimits, PictureSource};
use percept::segment::{Image, Mask, Orientation};
use serde::Deserialize;

use crate::project::root;

/// A drawn picture, and what is in it.
#[derive(Deserialize)]
pub(crate) struct Scene {
    pub(crate) name: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) shapes: Vec<Shape>,
}

#[derive(Deserialize)]
pub(crate) struct Shape {
    pub(crate) class: String,
    #[serde(rename = "box")]
    pub(crate) bounding_box: [u32; 4],
    pub(crate) point: [f32; 2],
}

#[derive(Deserialize)]
struct Truth {
    scenes: Vec<Scene>,
}

pub(crate) fn scenes() -> Vec<Scene> {
    let text = std::fs::read_to_string(root().join("tests/golden/shapes/truth.json")).unwrap();
    let truth: Truth = serde_json::from_str(&text).unwrap();
    truth.scenes
}

pub(crate) fn scene(name: &str) -> Scene {
    scenes().into_iter().find(|scene| scene.name == name).unwrap()
}

/// A picture as percept reads it.
pub(crate) fn read(path: &Path) -> Image {
    picture::read(PictureSource::Path(path.into()), PictureLimits::default()).unwrap().0
}

impl Scene {
    pub(crate) fn image(&self) -> Image {
        read(&root().join(format!("tests/golden/shapes/{}.png", self.name)))
    }

    /// The mask of each shape.
    pub(crate) fn masks(&self) -> Vec<Mask> {
        let path = root().join(format!("tests/golden/shapes/{}-instances.png", self.name));
        let mut reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()))
            .read_info()
            .unwrap();
        let mut packed = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut packed).unwrap();
        // Several pixels share a byte, the first in its highest bits; rows begin with a new byte.
        let (depth, mask) = (frame.bit_depth as usize, ((1_u16 << frame.bit_depth as u16) - 1) as u8);
        let value = |at: usize| {
            let (x, y) = (at % self.width as usize, at / self.width as usize);
            let byte = packed[y * frame.line_size + x * depth / 8];
            byte >> (8 - depth - x * depth % 8) & mask
        };
        let values: Vec<u8> = (0..(self.width * self.height) as usize).map(value).collect();
        let of = |index: usize| {
            let inside: Vec<u8> =
                values.iter().map(|value| u8::from(usize::from(*value) == index + 1)).collect();
            Mask::from_pixels(self.width, self.height, &inside)
        };
        (0..self.shapes.len()).map(of).collect()
    }

    /// The masks of the classes that are there.
    pub(crate) fn classes(&self) -> Vec<(String, Mask)> {
        let mut classes: Vec<(String, Mask)> = Vec::new();
        for (shape, mask) in self.shapes.iter().zip(self.masks()) {
            match classes.iter_mut().find(|(class, _)| *class == shape.class) {
                Some((_, all)) => *all = all.union(&mask),
                None => classes.push((shape.class.clone(), mask)),
            }
        }
        classes
    }
}

/// A PNG that is stored so that `orientation` turns it upright.
pub(crate) fn stored_png(upright: &Image, orientation: Orientation) -> Vec<u8> {
    let (width, height) = orientation.turned(upright.size());
    let mut rgb = vec![0; upright.rgb.len()];
    for y in 0..upright.height {
        for x in 0..upright.width {
            let (column, row) = orientation.stored_pixel((x, y), (width, height));
            let (from, to) = ((y * upright.width + x) as usize * 3, (row * width + column) as usize * 3);
            rgb[to..to + 3].copy_from_slice(&upright.rgb[from..from + 3]);
        }
    }
    // A TIFF header in little-endian order with one entry: tag 0x112, one SHORT.
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation.value(), 0, 0, 0, 0, 0, 0, 0]);
    let mut info = png::Info::with_size(width, height);
    info.color_type = png::ColorType::Rgb;
    info.bit_depth = png::BitDepth::Eight;
    info.exif_metadata = Some(exif.into());
    let mut bytes = Vec::new();
    let mut writer = png::Encoder::with_info(&mut bytes, info).unwrap().write_header().unwrap();
    writer.write_image_data(&rgb).unwrap();
    writer.finish().unwrap();
    bytes
}

/// A PNG of 16 bits a channel.
pub(crate) fn deep_png(image: &Image) -> Vec<u8> {
    let mut info = png::Info::with_size(image.width, image.height);
    info.color_type = png::ColorType::Rgb;
    info.bit_depth = png::BitDepth::Sixteen;
    let mut bytes = Vec::new();
    let mut writer = png::Encoder::with_info(&mut bytes, info).unwrap().write_header().unwrap();
    let deep: Vec<u8> = image.rgb.iter().flat_map(|value| [*value, *value]).collect();
    writer.write_image_data(&deep).unwrap();
    writer.finish().unwrap();
    bytes
}

/// A grey PNG, by the weights of BT.601.
pub(crate) fn grey_png(image: &Image) -> Vec<u8> {
    let grey = |rgb: &[u8]| {
        (0.299 * f32::from(rgb[0]) + 0.587 * f32::from(rgb[1]) + 0.114 * f32::from(rgb[2])).round() as u8
    };
    let values: Vec<u8> = image.rgb.chunks(3).map(grey).collect();
    picture::encode_grey_png(image.width, image.height, &values).unwrap()
}

/// The masks of a result, by the names of their classes.
pub(crate) fn masks_of(json: &str) -> Vec<(String, Mask)> {
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    let instances = json["result"]["instances"].as_array().unwrap();
    let mask = |instance: &serde_json::Value| {
        let rle: percept::segment::Rle = serde_json::from_value(instance["rle"].clone()).unwrap();
        (instance["label"]["name"].as_str().unwrap_or_default().to_owned(), rle.mask().unwrap())
    };
    instances.iter().map(mask).collect()
}

/// How well the classes of a scene were found: the mean IoU.
pub(crate) fn class_iou(scene: &Scene, found: &[(String, Mask)]) -> f64 {
    let classes = scene.classes();
    let iou = |(class, wanted): &(String, Mask)| {
        found.iter().find(|(name, _)| name == class).map_or(0.0, |(_, mask)| mask.iou(wanted))
    };
    classes.iter().map(iou).sum::<f64>() / classes.len() as f64
}
