//! Large pictures in tiles, perhaps of several sizes, with what tiles saw twice made one.
//!
//! An object that a tile's edge cuts has a box that ends there. Where another tile saw it whole, the cut box goes: it is
//! compared with the part of the whole box that its own tile could see. What is left is merged by [`Merge`].

use std::sync::Arc;

use percept_backbone::box_iou;
use percept_core::detect::{DetectInput, Detection, Detections, Label};
use percept_core::{Detect, Error, Model, Precision, Predicted, RawTensor, Result, Tiling, Timings};

use crate::merge::{Merge, merge};

/// A model that sees large pictures in tiles.
pub struct Tiled {
    model: Box<dyn Model<Detect>>,
    views: Vec<View>,
    merge: Merge,
}

/// How a picture is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// As a whole.
    Whole,
    /// In tiles. A picture that is no larger than one is looked at as a whole.
    Tiles(Tiling),
}

/// A rectangle of a picture: left, top, width, height.
type Window = [u32; 4];

/// Boxes that end so near to a tile's edge are cut by it, in pixels.
const EDGE: f32 = 2.0;
/// A cut box that covers this much of what its tile could see of a whole one (IoU) is the same object.
const SAME: f32 = 0.5;

impl Tiled {
    /// A model that looks at each picture in all of these ways.
    pub fn new(model: Box<dyn Model<Detect>>, views: Vec<View>, merge: Merge) -> Self {
        Self { model, views, merge }
    }

    fn windows(&self, (width, height): (u32, u32)) -> Vec<Window> {
        let mut all = Vec::new();
        for view in &self.views {
            let windows = match view {
                View::Whole => vec![[0, 0, width, height]],
                View::Tiles(tiling) => {
                    let (columns, rows) = (tiling.spans(width), tiling.spans(height));
                    let window = |row: (u32, u32), column: (u32, u32)| [column.0, row.0, column.1, row.1];
                    let along = |row: &(u32, u32)| {
                        columns.iter().map(|column| window(*row, column.seen)).collect::<Vec<_>>()
                    };
                    rows.iter().flat_map(|row| along(&row.seen)).collect()
                }
            };
            all.extend(windows.into_iter().filter(|window| !all.contains(window)).collect::<Vec<_>>());
        }
        all
    }

    fn look(&self, input: &DetectInput) -> Result<Predicted<Detections>> {
        let image = &input.image;
        let size = image.size();
        let windows = self.windows(size);
        if let [_] = windows[..] {
            let mut predicted = self.model.predict(std::slice::from_ref(input))?;
            return predicted.pop().ok_or_else(|| Error::argument("the model gave no result"));
        }
        let mut timings = Timings::default();
        let mut found: Vec<(Window, Detection)> = Vec::new();
        for batch in windows.chunks(self.model.batch().max(1)) {
            let part = |[left, top, width, height]: &Window| DetectInput {
                image: Arc::new(image.crop(*left, *top, *width, *height)),
                options: input.options.clone(),
            };
            let inputs: Vec<DetectInput> = batch.iter().map(part).collect();
            for (window, predicted) in batch.iter().zip(self.model.predict(&inputs)?) {
                timings.prepare += predicted.timings.prepare;
                timings.model += predicted.timings.model;
                timings.finish += predicted.timings.finish;
                let moved = predicted
                    .output
                    .detections
                    .into_iter()
                    .map(|found| (*window, moved(found, *window, size)));
                found.extend(moved);
            }
        }
        let cut: Vec<bool> =
            found.iter().map(|(window, found)| is_cut(found.bounding_box, *window, size)).collect();
        let seen_whole = |index: usize| {
            let (window, part) = &found[index];
            cut[index]
                && found.iter().zip(&cut).any(|((_, whole), cut)| {
                    // Half of a thing may look like another thing: who saw all of it knows better.
                    let knows = whole.label == part.label || whole.score >= part.score;
                    !cut && knows && box_iou(part.bounding_box, clipped(whole.bounding_box, *window)) > SAME
                })
        };
        let again: Vec<bool> = (0..found.len()).map(seen_whole).collect();
        let left = found.into_iter().zip(again).filter(|(_, again)| !again).map(|((_, found), _)| found);
        let detections = merge(left.collect(), self.merge);
        Ok(Predicted { output: Detections { width: size.0, height: size.1, detections }, timings })
    }
}

/// What was found in a window, in the picture.
fn moved(found: Detection, [left, top, ..]: Window, (width, height): (u32, u32)) -> Detection {
    let [x0, y0, x1, y1] = found.bounding_box;
    let (left_f, top_f) = (left as f32, top as f32);
    Detection {
        bounding_box: [x0 + left_f, y0 + top_f, x1 + left_f, y1 + top_f],
        mask: found.mask.map(|mask| mask.pasted(left, top, width, height)),
        ..found
    }
}

/// Whether a box ends at an edge of its window that is no edge of the picture.
fn is_cut([x0, y0, x1, y1]: [f32; 4], [left, top, width, height]: Window, size: (u32, u32)) -> bool {
    let (right, bottom) = (left + width, top + height);
    (left > 0 && x0 < left as f32 + EDGE)
        || (top > 0 && y0 < top as f32 + EDGE)
        || (right < size.0 && x1 > right as f32 - EDGE)
        || (bottom < size.1 && y1 > bottom as f32 - EDGE)
}

/// The part of a box in a window.
fn clipped([x0, y0, x1, y1]: [f32; 4], [left, top, width, height]: Window) -> [f32; 4] {
    let across = |x: f32| x.clamp(left as f32, (left + width) as f32);
    let down = |y: f32| y.clamp(top as f32, (top + height) as f32);
    [across(x0), down(y0), across(x1), down(y1)]
}

impl Model<Detect> for Tiled {
    fn predict(&self, inputs: &[DetectInput]) -> Result<Vec<Predicted<Detections>>> {
        inputs.iter().map(|input| self.look(input)).collect()
    }

    /// Of the whole picture: tiles have no raw tensors of their own.
    fn raw(&self, input: &DetectInput) -> Result<Vec<RawTensor>> {
        self.model.raw(input)
    }

    fn precision(&self) -> Precision {
        self.model.precision()
    }

    fn labels(&self) -> &[Label] {
        self.model.labels()
    }
}
