//! Depth as the bytes of files, and what is said of it.

use percept_core::depth::{DepthMap, DepthUnit, Image};
use percept_core::{Error, Result};
use percept_depth::point_cloud;
use percept_media::cloud::CloudFormat;
use percept_media::depth::{Quantization, encode_npy, encode_png, encode_tiff};
use percept_media::draw::depth_colors;
use percept_media::picture;
use serde::Serialize;

use super::Format;
use super::camera::{Focal, FocalSource};
use crate::output::Rendered;

/// One picture's depth on its way to files.
pub struct Answers<'a> {
    map: &'a DepthMap,
    image: &'a Image,
    focal: Option<Focal>,
}

/// The `result` of percept's own JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DepthRecord {
    width: u32,
    height: u32,
    /// What all numbers are.
    unit: DepthUnit,
    /// Whether the larger of two numbers is nearer.
    larger_is_nearer: bool,
    minimum: f32,
    maximum: f32,
    mean: f64,
    median: f32,
    /// Of the camera, where it is known; in pixels of the displayed picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    focal: Option<FocalRecord>,
    /// A 16-bit PNG has `(value - offset) / scale`.
    png: QuantizationRecord,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct FocalRecord {
    pixels: f32,
    source: FocalSource,
    /// Horizontal and vertical, in degrees.
    field_of_view: [f32; 2],
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct QuantizationRecord {
    scale: f64,
    offset: f64,
}

impl<'a> Answers<'a> {
    /// Of a displayed picture, whose camera has that focal length; the model's estimate where none is known.
    pub fn new(map: &'a DepthMap, image: &'a Image, known: Option<Focal>) -> Self {
        let focal = known.or_else(|| map.focal.map(|pixels| (pixels, FocalSource::Model)));
        Self { map, image, focal }
    }

    /// What is said of it.
    pub fn record(&self) -> DepthRecord {
        let map = self.map;
        let mut values = map.values.clone();
        let middle = values.len() / 2;
        let median = match values.len() {
            0 => 0.0,
            _ => *values.select_nth_unstable_by(middle, f32::total_cmp).1,
        };
        let Quantization { scale, offset } = Quantization::of(map);
        let angle = |side: u32, pixels: f32| 2.0 * (side as f32 / 2.0 / pixels).atan().to_degrees();
        DepthRecord {
            width: map.width,
            height: map.height,
            unit: map.unit,
            larger_is_nearer: map.unit.larger_is_nearer(),
            minimum: map.values.iter().copied().fold(f32::INFINITY, f32::min),
            maximum: map.values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            mean: map.values.iter().map(|value| f64::from(*value)).sum::<f64>()
                / map.values.len().max(1) as f64,
            median,
            focal: self.focal.map(|(pixels, source)| FocalRecord {
                pixels,
                source,
                field_of_view: [map.width, map.height].map(|side| angle(side, pixels)),
            }),
            png: QuantizationRecord { scale, offset },
        }
    }

    /// The bytes of a format; [`Format::Json`] is an envelope around [`DepthRecord`], which the caller makes.
    ///
    /// # Errors
    /// [`Error::Argument`]: the format cannot hold the result; points in space need metres and a focal length.
    pub fn render(&self, format: Format) -> Result<Rendered> {
        let map = self.map;
        Ok(Rendered::File(match format {
            Format::Json => return Err(Error::argument("this format is settled elsewhere")),
            Format::Png => encode_png(map)?,
            Format::Npy => encode_npy(map),
            Format::Tiff => encode_tiff(map)?,
            Format::Color => picture::encode_png(&depth_colors(map))?,
            Format::Ply => {
                let focal = self.focal.map_or_else(|| self.unknown_focal(), |(pixels, _)| Ok(pixels))?;
                CloudFormat::Ply.encode(&point_cloud(map, self.image, focal)?)?
            }
        }))
    }

    /// Of relative depth there is a better reason to refuse.
    fn unknown_focal(&self) -> Result<f32> {
        match self.map.unit {
            DepthUnit::RelativeInverse => Ok(1.0),
            DepthUnit::Metres => Err(Error::Argument {
                message: "points in space need the camera's focal length, which the picture does not tell".into(),
                hint: Some("say `--focal PIXELS` or `--fov DEGREES`, or take `--model depth-pro`, which estimates it".into()),
            }),
        }
    }
}
