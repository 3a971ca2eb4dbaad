//! The automatic mask generator (`SamAutomaticMaskGenerator`): a grid of points, what is sure and stable of their answers,
//! without duplicates.

use std::time::Instant;

use percept_backbone::checkpoint::milliseconds;
use percept_backbone::{for_layers, nms};
use percept_core::segment::{EverythingOptions, Image, Instance, Mask};
use percept_core::{Error, Result, Timings};

use super::crops::{Crop, crops, grid, is_cut_off};
use super::objects::AT_ONCE;
use super::prompts::{CanvasPoint, Meaning, Prompt};
use super::upsample::Upsampler;
use super::{Look, Sam, took};
use crate::small_regions::{SmallRegions, remove_small_regions};

/// Left, top, right and bottom of the first and last pixels of a mask.
type Corners = [f32; 4];

/// A mask that passed.
struct Found {
    mask: Mask,
    score: f32,
    stability: f32,
    corners: Corners,
    crop: Crop,
}

/// All masks, best first; `look` is that of the whole picture.
pub(super) fn generate(
    sam: &Sam,
    image: &Image,
    look: &Look,
    options: &EverythingOptions,
    timings: &mut Timings,
) -> Result<Vec<Instance>> {
    check(options)?;
    let size = [image.width as usize, image.height as usize];
    let crops = crops(size, options.crop_n_layers, options.crop_overlap_ratio);
    let mut found = Vec::new();
    for crop in &crops {
        let [left, top, right, bottom] = crop.corners;
        let inside = match crop.layer {
            0 => None,
            _ => {
                let part = image.crop(left as u32, top as u32, (right - left) as u32, (bottom - top) as u32);
                Some(sam.look(&part, timings)?)
            }
        };
        let masks = of_crop(sam, inside.as_ref().unwrap_or(look), crop, size, options, timings)?;
        let (boxes, scores): (Vec<_>, Vec<_>) = masks.iter().map(|mask| (mask.corners, mask.score)).unzip();
        found.extend(select(masks, &nms(&boxes, &scores, options.box_nms_thresh)));
    }
    let began = Instant::now();
    if crops.len() > 1 {
        let boxes = found.iter().map(|mask| mask.corners).collect::<Vec<_>>();
        // Smaller crops show more.
        let scores = found.iter().map(|mask| 1.0 / mask.crop.area() as f32).collect::<Vec<_>>();
        found = select(found, &nms(&boxes, &scores, options.crop_nms_thresh));
    }
    if options.min_mask_region_area > 0 {
        let threshold = options.box_nms_thresh.max(options.crop_nms_thresh);
        found = without_small_regions(found, options.min_mask_region_area, threshold);
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    timings.finish += milliseconds(began);
    let instance = |(index, found): (usize, Found)| {
        let mut instance = Instance::new(index as u32 + 1, found.mask, found.score, None);
        instance.stability = Some(found.stability);
        instance
    };
    Ok(found.into_iter().enumerate().map(instance).collect())
}

/// What the points of one crop find, duplicates included.
fn of_crop(
    sam: &Sam,
    look: &Look,
    crop: &Crop,
    size: [usize; 2],
    options: &EverythingOptions,
    timings: &mut Timings,
) -> Result<Vec<Found>> {
    let network = &sam.network;
    let [left, top, right, bottom] = crop.corners;
    let factor = options.crop_n_points_downscale_factor.pow(crop.layer as u32);
    let side = (options.points_per_side / factor).max(1);
    let prompts = grid(side).into_iter().map(|[x, y]| {
        let at = [(x * (right - left) as f64) as f32, (y * (bottom - top) as f64) as f32];
        let [x, y] = look.canvas.to_canvas(at);
        Prompt { points: vec![CanvasPoint { x, y, meaning: Meaning::Foreground }], ..Prompt::default() }
    });
    let prompts = prompts.collect::<Vec<_>>();
    let logits_side = network.prompts.mask_side();
    let upsampler = Upsampler::new(&look.canvas, network.family, logits_side, [left, top], size);
    let mut all = Vec::new();
    // Prompts do not see each other: smaller batches than were asked for give the same.
    for batch in prompts.chunks(options.points_per_batch.min(AT_ONCE)) {
        let began = Instant::now();
        let decoded = network.decode(&look.embedding, batch).map_err(sam.compute_error())?;
        // Masks are made only where a score is high enough.
        let sure = |score: f32| options.pred_iou_thresh <= 0.0 || score > options.pred_iou_thresh;
        let hopeful = |row: &usize| decoded.scores[*row][1..].iter().any(|score| sure(*score));
        let rows = (0..batch.len()).filter(hopeful).collect::<Vec<_>>();
        if rows.is_empty() {
            took(timings, "decoder", began);
            continue;
        }
        let named = rows.iter().map(|row| *row as u32).collect::<Vec<_>>();
        let logits = network.decoder.logits(&look.embedding, &decoded, &named);
        let logits =
            logits.and_then(|logits| logits.flatten_all()?.to_vec1::<f32>()).map_err(sam.compute_error())?;
        took(timings, "decoder", began);

        let began = Instant::now();
        let (masks, pixels) = (network.decoder.masks(), logits_side * logits_side);
        let places = (0..rows.len()).flat_map(|row| (1..masks).map(move |mask| (row, mask)));
        let places = places.filter(|(row, mask)| sure(decoded.scores[rows[*row]][*mask])).collect::<Vec<_>>();
        let made = for_layers(places.len(), |place| {
            let (row, mask) = places[place];
            let logits = &logits[(row * masks + mask) * pixels..][..pixels];
            let made = upsampler.mask(logits, options.stability_score_offset);
            if options.stability_score_thresh > 0.0 && made.stability < options.stability_score_thresh {
                return Ok::<_, Error>(None);
            }
            let corners = corners(&made.mask, crop);
            if is_cut_off(&corners, crop, size) {
                return Ok(None);
            }
            let (score, stability) = (decoded.scores[rows[row]][mask], made.stability);
            Ok(Some(Found { mask: made.mask, score, stability, corners, crop: *crop }))
        })?;
        all.extend(made.into_iter().flatten());
        timings.finish += milliseconds(began);
    }
    *count(timings) += prompts.len();
    Ok(all)
}

/// Fills small holes and drops small islands, then drops what has become a duplicate; masks that needed nothing win
/// (`postprocess_small_regions`).
fn without_small_regions(found: Vec<Found>, least: u64, threshold: f32) -> Vec<Found> {
    let cleaned = found.into_iter().map(|found| {
        let filled = remove_small_regions(&found.mask, least, SmallRegions::Holes);
        let cleaned =
            remove_small_regions(filled.as_ref().unwrap_or(&found.mask), least, SmallRegions::Islands);
        let Some(mask) = cleaned.or(filled) else { return (found, true) };
        let corners = corners(&mask, &found.crop);
        (Found { mask, corners, ..found }, false)
    });
    let (found, untouched): (Vec<_>, Vec<_>) = cleaned.unzip();
    let boxes = found.iter().map(|found: &Found| found.corners).collect::<Vec<_>>();
    let scores = untouched.into_iter().map(|untouched| f32::from(u8::from(untouched))).collect::<Vec<_>>();
    let kept = nms(&boxes, &scores, threshold);
    select(found, &kept)
}

/// The box of a mask from its first to its last pixels; that of an empty one is its crop's corner.
fn corners(mask: &Mask, crop: &Crop) -> Corners {
    match mask.bounding_box() {
        Some([left, top, right, bottom]) => [left, top, right - 1, bottom - 1].map(|at| at as f32),
        None => [crop.corners[0], crop.corners[1], crop.corners[0], crop.corners[1]].map(|at| at as f32),
    }
}

fn select(found: Vec<Found>, kept: &[usize]) -> Vec<Found> {
    let mut found = found.into_iter().map(Some).collect::<Vec<_>>();
    kept.iter().filter_map(|index| found[*index].take()).collect()
}

fn count(timings: &mut Timings) -> &mut usize {
    if timings.counts.is_empty() {
        timings.counts.push(("prompts", 0));
    }
    &mut timings.counts[0].1
}

fn check(options: &EverythingOptions) -> Result<()> {
    /// As many layers make 341 crops.
    const MOST_LAYERS: usize = 4;
    let least = |name: &str, value: usize| match value {
        0 => Err(Error::argument(format!("{name} is 0, at least 1 is wanted"))),
        _ => Ok(()),
    };
    least("points_per_side", options.points_per_side)?;
    least("points_per_batch", options.points_per_batch)?;
    least("crop_n_points_downscale_factor", options.crop_n_points_downscale_factor)?;
    if options.points_per_side > 256 || options.crop_n_points_downscale_factor > 256 {
        return Err(Error::argument("at most 256 points along a side are asked"));
    }
    if options.crop_n_layers > MOST_LAYERS {
        return Err(Error::argument(format!(
            "{} layers of crops, at most {MOST_LAYERS}",
            options.crop_n_layers
        )));
    }
    if !(0.0..1.0).contains(&options.crop_overlap_ratio) {
        return Err(Error::argument("crops overlap by a share from 0 to 1"));
    }
    Ok(())
}
