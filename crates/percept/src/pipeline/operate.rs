//! Operations that need no model.

use std::sync::Arc;

use percept_core::pose::Poses;
use percept_core::segment::{Image, Instance, Mask};
use percept_core::transcribe::{SAMPLE_RATE, Sound};
use percept_core::{Error, Result};

use super::kind::{Content, Element, Thing};
use super::stage::Size;
use crate::media::draw::{self, Background, Edge, OverlayItem};
use crate::media::picture::{self, ResizeFilter};

/// Pixels that a picture may get; as many as one may have that is read.
const MOST_PIXELS: u64 = 500_000_000;

/// The box of a thing, larger on each side by a share of its width or height, cut to the picture.
pub(super) fn crop(thing: Thing<'_>, padding: f64) -> Image {
    let image = thing.image;
    let [left, top, right, bottom] = thing.bounding_box.map(f64::from);
    let (across, down) = ((right - left) * padding, (bottom - top) * padding);
    let within = |value: f64, limit: u32| value.round().clamp(0.0, f64::from(limit)) as u32;
    let (left, right) = (within(left - across, image.width), within(right + across, image.width));
    let (top, bottom) = (within(top - down, image.height), within(bottom + down, image.height));
    image.crop(left, top, right - left, bottom - top)
}

/// The pixels of a mask.
pub(super) fn cutout(
    instance: &Instance,
    image: &Image,
    background: Option<&Background>,
    trim: bool,
) -> Result<Image> {
    let cut = draw::cutout(image, &instance.mask, Edge::AntiAliased);
    let cut = if trim { draw::trim(&cut) } else { cut };
    match background {
        Some(background) => draw::composite(&cut, background),
        None => Ok(cut),
    }
}

/// The picture in another size.
pub(super) fn resize(image: &Image, size: Size) -> Result<Image> {
    let (width, height) = image.size();
    let scaled = |side: u32, by: u32, of: u32| {
        ((f64::from(side) * f64::from(by) / f64::from(of.max(1))).round() as u32).max(1)
    };
    let (new_width, new_height) = match (size.width, size.height, size.longest) {
        (Some(new_width), Some(new_height), _) => (new_width, new_height),
        (Some(new_width), None, _) => (new_width, scaled(height, new_width, width)),
        (None, Some(new_height), _) => (scaled(width, new_height, height), new_height),
        (None, None, longest) => {
            let longest = longest.unwrap_or(width.max(height));
            let by = width.max(height);
            (scaled(width, longest, by), scaled(height, longest, by))
        }
    };
    if u64::from(new_width) * u64::from(new_height) > MOST_PIXELS {
        return Err(Error::Argument {
            message: format!("{width} x {height} pixels would become {new_width} x {new_height}"),
            hint: Some("ask for a smaller size in the stage's `resize`".into()),
        });
    }
    picture::resize(image, new_width, new_height, ResizeFilter::Lanczos)
}

/// The picture with these things blurred beyond recognition.
pub(super) fn blur(image: &Image, regions: &[Thing<'_>], radius: f64, whole_box: bool) -> Image {
    let mut blurred = image.clone();
    for thing in regions {
        match thing.mask.filter(|_| !whole_box) {
            Some(mask) => draw::blur(&mut blurred, mask, radius as f32),
            None => draw::blur(&mut blurred, &filled(thing.bounding_box, image), radius as f32),
        }
    }
    blurred
}

/// All pixels that a box touches.
fn filled([left, top, right, bottom]: [f32; 4], image: &Image) -> Mask {
    let pixels = |low: f32, high: f32, size: u32| {
        (low.floor().clamp(0.0, size as f32) as u32)..(high.ceil().clamp(0.0, size as f32) as u32)
    };
    let (columns, rows) = (pixels(left, right, image.width), pixels(top, bottom, image.height));
    let place = |column: u32, row: u32| u64::from(column) * u64::from(image.height) + u64::from(row);
    let runs = columns.map(|column| (place(column, rows.start), place(column, rows.end)));
    Mask::from_runs(image.width, image.height, runs)
}

/// The picture with these elements drawn over it: masks, boxes with names, skeletons.
pub(super) fn drawn(image: &Arc<Image>, elements: &[&Element]) -> Image {
    let mut items = Vec::new();
    let mut poses: Vec<Poses> = Vec::new();
    for element in elements {
        if let Content::Pose(pose, scheme, _) = &element.content {
            let (width, height) = image.size();
            match poses.iter_mut().find(|poses| poses.scheme == *scheme) {
                Some(poses) => poses.poses.push((**pose).clone()),
                None => {
                    poses.push(Poses { width, height, scheme: scheme.clone(), poses: vec![(**pose).clone()] })
                }
            }
        } else if let Some(thing) = element.content.thing() {
            let name = thing.label.map_or_else(|| element.id.to_string(), |label| label.name.clone());
            items.push(OverlayItem {
                mask: thing.mask,
                bounding_box: matches!(element.content, Content::Box(..)).then_some(thing.bounding_box),
                label: format!("{name} {:.2}", thing.score),
                color: element.id - 1,
            });
        }
    }
    let over = draw::overlay(image, &items);
    poses.iter().fold(over, |image, poses| draw::skeletons(&image, poses))
}

/// The stretches of a sound in which somebody speaks.
pub(super) fn speech(sound: &Sound, start: f64) -> Vec<Content> {
    let index = |seconds: f64| ((seconds * f64::from(SAMPLE_RATE)).round() as usize).min(sound.samples.len());
    let spans = percept_transcribe::speech(&sound.samples).into_iter();
    spans
        .map(|span| {
            let samples = sound.samples[index(span.start)..index(span.end)].to_vec();
            Content::Sound(Arc::new(Sound { samples }), start + span.start)
        })
        .collect()
}

/// What a model answered to boxes, a mask each.
pub(super) fn one_each(found: usize, asked: usize) -> Result<()> {
    if found == asked {
        return Ok(());
    }
    Err(Error::argument(format!("the model gave {found} masks for {asked} boxes")))
}
