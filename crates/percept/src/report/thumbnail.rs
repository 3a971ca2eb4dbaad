//! Small pictures with what was found in them, as part of the page.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use percept_core::Result;
use percept_core::pose::{Keypoint, KeypointScheme, Pose, Poses};
use percept_core::segment::{Image, Mask, Orientation};
use percept_detect::format::{DetectRecord, DetectionRecord};
use percept_media::draw::{self, Background, OverlayItem};
use percept_media::picture::{self, PictureLimits, PictureSource, ResizeFilter};
use percept_pose::format::{KeypointRecord, PoseEntry, PoseRecord};
use percept_pose::scheme;
use percept_segment::format::{SegmentRecord, Standing};
use serde::Serialize;

/// Columns and rows at most: twice what a card has on a phone, and what it has elsewhere.
const SIDE: u32 = 320;
/// Bytes at most; few pictures need more.
const MOST_BYTES: usize = 24 << 10;

/// A small picture.
#[derive(Serialize)]
pub(super) struct Thumbnail {
    /// A JPEG as a `data:` address.
    source: String,
    width: u32,
    height: u32,
    /// Columns and rows of the picture itself.
    of: [u32; 2],
}

impl Thumbnail {
    /// Of the picture at `path` with what was found over it, and what is to be said of it. What was found is left out
    /// where the file is not the one with this digest any more.
    ///
    /// # Errors
    /// `Error::Input`: it cannot be read.
    pub(super) fn new(
        path: &Path,
        sha256: Option<&str>,
        result: Option<&Shown>,
    ) -> Result<(Self, Option<&'static str>)> {
        let (image, info) = picture::read(PictureSource::Path(path.into()), PictureLimits::default())?;
        let changed = sha256.is_some_and(|sha256| sha256 != info.sha256);
        let (width, height) = picture::fit_within(image.size(), SIDE);
        let mut small = picture::resize(&image, width, height, ResizeFilter::Bilinear)?;
        if small.alpha.is_some() {
            small = draw::composite(&small, &Background::Color([255; 3]))?;
        }
        if let Some(result) = result.filter(|_| !changed) {
            small = result.over(&small, info.orientation);
        }
        let source = base64::engine::general_purpose::STANDARD.encode(encoded(&small)?);
        let source = format!("data:image/jpeg;base64,{source}");
        let note = changed.then_some("the file has changed since the run: what was found is not drawn");
        let of = [image.width, image.height];
        Ok((Self { source, width: small.width, height: small.height, of }, note))
    }
}

/// What a thumbnail shows of a result.
pub(super) enum Shown {
    Masks(SegmentRecord),
    Boxes(DetectRecord),
    Poses(PoseRecord),
}

impl Shown {
    fn over(&self, image: &Image, orientation: Orientation) -> Image {
        match self {
            Self::Masks(result) => overlaid(image, result, orientation),
            Self::Boxes(result) => {
                let scale = scale(image, [result.width, result.height]);
                let item = |found: &DetectionRecord| OverlayItem {
                    bounding_box: Some(scaled(found.box_xyxy, scale)),
                    color: found.label.id as usize,
                    ..OverlayItem::default()
                };
                draw::overlay(image, &result.detections.iter().map(item).collect::<Vec<_>>())
            }
            Self::Poses(result) => {
                let [across, down] = scale(image, [result.width, result.height]);
                let sides = result.keypoint_set.map(|set| scheme(set).sides.clone()).unwrap_or_default();
                let known = KeypointScheme {
                    set: result.keypoint_set,
                    names: vec![],
                    skeleton: result.skeleton.clone(),
                    flip_pairs: vec![],
                    sides,
                    sigmas: vec![],
                };
                let keypoint = |one: &KeypointRecord| Keypoint {
                    x: one.x * across,
                    y: one.y * down,
                    score: one.score,
                    seen: one.seen,
                };
                let pose = |pose: &PoseEntry| Pose {
                    subject: pose.subject,
                    bounding_box: scaled(pose.box_xyxy, [across, down]),
                    label: None,
                    score: pose.score,
                    keypoints: pose.keypoints.iter().map(keypoint).collect(),
                };
                let poses = result.poses.iter().map(pose).collect();
                let (width, height) = image.size();
                draw::skeletons(image, &Poses { width, height, scheme: Arc::new(known), poses })
            }
        }
    }
}

/// Pixels of the thumbnail by pixels of the picture, across and down.
fn scale(image: &Image, [width, height]: [u32; 2]) -> [f32; 2] {
    [image.width as f32 / width.max(1) as f32, image.height as f32 / height.max(1) as f32]
}

fn scaled([left, top, right, bottom]: [f32; 4], [across, down]: [f32; 2]) -> [f32; 4] {
    [left * across, top * down, right * across, bottom * down]
}

/// The masks over the picture, in the colours of their numbers. Labels would be too small to be read.
fn overlaid(image: &Image, result: &SegmentRecord, orientation: Orientation) -> Image {
    let displayed = |mask: Mask| match result.standing {
        Standing::Displayed => mask,
        Standing::Stored => picture::displayed_mask(&mask, orientation),
    };
    // What is turned is small by then.
    let (width, height) = match result.standing {
        Standing::Displayed => image.size(),
        Standing::Stored => orientation.turned(image.size()),
    };
    let masks: Vec<(u32, Mask)> = result
        .instances
        .iter()
        // A mask that is none is left out of the thumbnail, not of the page.
        .filter_map(|instance| Some((instance.id, instance.rle.mask().ok()?.scaled(width, height))))
        .map(|(id, mask)| (id, displayed(mask)))
        .collect();
    let items: Vec<OverlayItem<'_>> = masks
        .iter()
        .map(|(id, mask)| OverlayItem { mask: Some(mask), color: color(*id), ..OverlayItem::default() })
        .collect();
    draw::overlay(image, &items)
}

/// Which colour the instance with this number has: that of overlays and index pictures.
pub(super) fn color(id: u32) -> usize {
    (id as usize).saturating_sub(1)
}

/// A JPEG as good as fits.
fn encoded(image: &Image) -> Result<Vec<u8>> {
    for quality in [75, 50, 25] {
        let bytes = picture::encode_jpeg(image, quality)?;
        if bytes.len() <= MOST_BYTES {
            return Ok(bytes);
        }
    }
    let (width, height) = picture::fit_within(image.size(), SIDE / 2);
    picture::encode_jpeg(&picture::resize(image, width, height, ResizeFilter::Bilinear)?, 25)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_stays_small() {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let image = Image::new(SIDE, SIDE, (0..3 * SIDE * SIDE).map(|_| noise()).collect());
        assert!(encoded(&image).unwrap().len() <= MOST_BYTES);
    }
}
