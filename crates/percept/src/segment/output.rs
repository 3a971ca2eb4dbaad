//! A segmentation as the bytes of files.

use std::path::Path;

use percept_core::coco::Coco;
use percept_core::segment::{Image, Instance, Mask, Orientation, Segmentation};
use percept_core::{Error, Result};
use percept_media::draw::{self, Background, OverlayItem};
use percept_media::picture::{self, PictureLimits, PictureSource};
use percept_segment::format::{CocoMasks, LabelMe, LegendEntry, SegmentRecord, Standing, yolo};

use super::Format;
use crate::output::{Rendered, json, numbered_name};

/// How far, in pixels, a polygon's lines may leave the outline that they simplify.
const TOLERANCE: f64 = 0.5;

/// What stands behind a cut-out: a colour by its CSS name or number (`white`, `#336699`), or the path of a picture.
///
/// # Errors
/// [`Error::Argument`]: it is neither. [`Error::Input`]: the picture cannot be read.
pub fn background(text: &str) -> Result<Background> {
    if let Ok(color) = csscolorparser::parse(text) {
        let [red, green, blue, _] = color.to_rgba8();
        return Ok(Background::Color([red, green, blue]));
    }
    if !Path::new(text).exists() {
        return Err(Error::Argument {
            message: format!("`{text}` is neither a colour nor a picture"),
            hint: Some("colours are those of CSS, such as white or #336699".into()),
        });
    }
    let source = PictureSource::Path(text.into());
    Ok(Background::Picture(picture::read(source, PictureLimits::default())?.0))
}

/// One picture's results on their way to files.
pub struct Answers<'a> {
    segmentation: &'a Segmentation,
    /// The same of the picture as stored, where that is asked for and differs.
    stored: Option<Segmentation>,
    image: &'a Image,
    file_name: &'a str,
}

impl<'a> Answers<'a> {
    /// Of a displayed picture that is stored in `orientation` and called `file_name`.
    pub fn new(
        segmentation: &'a Segmentation,
        image: &'a Image,
        file_name: &'a str,
        orientation: Orientation,
        standing: Standing,
    ) -> Self {
        let turn = standing == Standing::Stored && orientation != Orientation::UPRIGHT;
        Self { segmentation, stored: turn.then(|| stored(segmentation, orientation)), image, file_name }
    }

    /// The `result` of the JSON envelope; with the meaning of an index picture's values, if there is one.
    pub fn record(&self, formats: &[Format]) -> SegmentRecord {
        let mut record = SegmentRecord::new(self.masks());
        if self.stored.is_some() {
            record.standing = Standing::Stored;
        }
        if formats.contains(&Format::Index) {
            record.legend = LegendEntry::all(self.masks());
            for entry in &mut record.legend {
                let [red, green, blue] = draw::color(entry.value as usize - 1);
                entry.color = Some(format!("#{red:02x}{green:02x}{blue:02x}"));
            }
        }
        record
    }

    /// The bytes of a format; [`Format::Json`] is an envelope around [`Answers::record`], which the caller makes.
    ///
    /// Masks and polygons stand as was asked for; overlays and cut-outs are of the displayed picture.
    ///
    /// # Errors
    /// [`Error::Argument`]: the format cannot hold the result.
    pub fn render(&self, format: Format, background: Option<&Background>) -> Result<Rendered> {
        let masks = self.masks();
        Ok(Rendered::File(match format {
            Format::Json | Format::Png => return Err(Error::argument("this format is settled elsewhere")),
            Format::Mask => picture::encode_mask_png(&union(masks))?,
            Format::Index => index(masks)?,
            Format::Instances => return Ok(Rendered::Folder(instances(masks)?)),
            Format::Cutout => {
                let found = union(self.segmentation);
                let cut = draw::cutout(self.image, &found, draw::Edge::AntiAliased);
                picture::encode_png(&match background {
                    Some(background) => draw::composite(&cut, background)?,
                    None => cut,
                })?
            }
            Format::Overlay => picture::encode_png(&overlay(self.segmentation, self.image))?,
            Format::Rle => self.coco(CocoMasks::Compressed)?,
            Format::Coco => self.coco(CocoMasks::Polygons { tolerance: TOLERANCE })?,
            Format::Yolo => yolo(masks, TOLERANCE).into_bytes(),
            Format::LabelMe => json(&LabelMe::new(self.file_name, masks, TOLERANCE))?,
        }))
    }

    fn masks(&self) -> &Segmentation {
        self.stored.as_ref().unwrap_or(self.segmentation)
    }

    fn coco(&self, masks: CocoMasks) -> Result<Vec<u8>> {
        let mut coco = Coco::default();
        masks.push(&mut coco, self.file_name, self.masks());
        json(&coco)
    }
}

/// The same in coordinates of the picture as it is stored.
fn stored(segmentation: &Segmentation, orientation: Orientation) -> Segmentation {
    let turned = |mask: &Mask| picture::stored_mask(mask, orientation);
    let (width, height) = orientation.turned((segmentation.width, segmentation.height));
    let instances = segmentation.instances.iter().map(|instance| {
        let mut instance = instance.clone();
        for candidate in &mut instance.candidates {
            candidate.mask = turned(&candidate.mask);
        }
        let mask = turned(&instance.mask);
        instance.with_mask(mask)
    });
    Segmentation { width, height, kind: segmentation.kind, instances: instances.collect() }
}

/// Where anything was found.
fn union(segmentation: &Segmentation) -> Mask {
    let nothing = Mask::empty(segmentation.width, segmentation.height);
    segmentation.instances.iter().fold(nothing, |all, instance| all.union(&instance.mask))
}

/// Each pixel's instance. Where instances overlap, the better score is seen.
fn index(segmentation: &Segmentation) -> Result<Vec<u8>> {
    let mut values = vec![0_u16; segmentation.width as usize * segmentation.height as usize];
    let mut order: Vec<_> = segmentation.instances.iter().collect();
    order.sort_by(|a, b| a.score.total_cmp(&b.score));
    for instance in order {
        let id = u16::try_from(instance.id)
            .map_err(|_| Error::argument("an index picture holds 65,535 instances at most"))?;
        instance.mask.paint(|at| values[at] = id);
    }
    let colors = (0..segmentation.instances.len()).map(draw::color);
    let palette: Vec<[u8; 3]> = std::iter::once([0; 3]).chain(colors).collect();
    picture::encode_index_png(segmentation.width, segmentation.height, &values, &palette)
}

/// `001-person.png` for the first instance.
fn instances(segmentation: &Segmentation) -> Result<Vec<(String, Vec<u8>)>> {
    let count = segmentation.instances.len();
    let file = |instance: &Instance| {
        let label = instance.label.as_ref().map_or("mask", |label| &label.name);
        let name = numbered_name(instance.id as usize, count, label);
        Ok((name, picture::encode_mask_png(&instance.mask)?))
    };
    segmentation.instances.iter().map(file).collect()
}

/// The picture with outlines and labels.
fn overlay(segmentation: &Segmentation, image: &Image) -> Image {
    let label = |instance: &Instance| match &instance.label {
        Some(label) => format!("{} {:.2}", label.name, instance.score),
        None => format!("{} {:.2}", instance.id, instance.score),
    };
    let items: Vec<OverlayItem<'_>> = segmentation
        .instances
        .iter()
        .map(|instance| OverlayItem {
            mask: Some(&instance.mask),
            bounding_box: None,
            label: label(instance),
            color: instance.id as usize - 1,
        })
        .collect();
    draw::overlay(image, &items)
}
