//! Image to mask: what goes in and what comes out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::image::{Image, Orientation};
pub use crate::mask::Mask;

/// One picture and what is asked of it.
#[derive(Clone, Debug)]
pub struct SegmentInput {
    /// The picture. Inputs that share it share its embedding.
    pub image: Arc<Image>,
    /// What is asked.
    pub options: Arc<SegmentOptions>,
}

/// What to look for, and what to keep of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SegmentOptions {
    /// What to look for.
    pub request: SegmentRequest,
    /// Instances below this score are dropped; the model's own threshold when absent.
    pub score: Option<f32>,
    /// Only these classes, by name or number; all when empty.
    pub classes: Vec<String>,
    /// Instances and their separate parts of fewer pixels are dropped.
    pub min_area: u64,
    /// Holes of fewer pixels are filled.
    pub fill_holes: u64,
    /// The best so many instances; all when absent.
    pub max_instances: Option<usize>,
}

/// What to look for in a picture.
#[derive(Clone, Debug, PartialEq)]
pub enum SegmentRequest {
    /// All that the model's classes name.
    Whole(WholeKind),
    /// Objects that are pointed at.
    Objects {
        /// Each gives one instance, in this order.
        objects: Vec<ObjectPrompt>,
        /// Whether the other candidates of a prompt come out too.
        candidates: Candidates,
    },
    /// Everything that can be told apart, without classes.
    Everything(EverythingOptions),
    /// What these texts name; one instance a text.
    Text(Vec<String>),
}

impl Default for SegmentRequest {
    fn default() -> Self {
        Self::Whole(WholeKind::Auto)
    }
}

/// How a whole picture is divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WholeKind {
    /// What the checkpoint was made for: panoptic, or else what it can.
    #[default]
    Auto,
    /// Every pixel belongs to at most one segment; things one by one, stuff by class.
    Panoptic,
    /// Things one by one; they may overlap.
    Instance,
    /// One segment a class.
    Semantic,
}

/// Which of the masks that answer one prompt come out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Candidates {
    /// The best.
    #[default]
    Best,
    /// The best, and all of them in [`Instance::candidates`].
    All,
}

/// One object that is pointed at, in pixels of the displayed picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectPrompt {
    /// Points on it, and points that are not on it.
    pub points: Vec<PointPrompt>,
    /// Left, top, right, bottom.
    #[serde(rename = "box")]
    pub bounding_box: Option<[f32; 4]>,
    /// The logits of an earlier answer, in the model's low resolution.
    #[serde(skip)]
    pub mask: Option<MaskPrompt>,
}

/// A point with its meaning. In JSON: `[x, y]` or `[x, y, label]`, label 1 on the object, 0 not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f32>", into = "Vec<f32>")]
pub struct PointPrompt {
    /// Pixels from the left.
    pub x: f32,
    /// Pixels from the top.
    pub y: f32,
    /// What the point says.
    pub label: PointLabel,
}

/// What a point says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PointLabel {
    /// It is on the object.
    #[default]
    Foreground,
    /// It is not.
    Background,
}

impl TryFrom<Vec<f32>> for PointPrompt {
    type Error = String;

    fn try_from(numbers: Vec<f32>) -> Result<Self, Self::Error> {
        let (x, y, label) = match numbers[..] {
            [x, y] => (x, y, PointLabel::Foreground),
            [x, y, 1.0] => (x, y, PointLabel::Foreground),
            [x, y, 0.0] => (x, y, PointLabel::Background),
            _ => return Err("a point is [x, y] or [x, y, label] with label 1 (on it) or 0 (not)".into()),
        };
        Ok(Self { x, y, label })
    }
}

impl From<PointPrompt> for Vec<f32> {
    fn from(point: PointPrompt) -> Self {
        vec![point.x, point.y, if point.label == PointLabel::Foreground { 1.0 } else { 0.0 }]
    }
}

/// Mask logits in the low resolution of a model (256 by 256 for SAM), over its whole square canvas.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskPrompt {
    /// Rows, and columns.
    pub side: usize,
    /// Row-major; positive is inside.
    pub logits: Vec<f32>,
}

/// The automatic mask generator of SAM (Kirillov et al. 2023, arXiv 2304.02643), with the reference's names and
/// defaults (`SamAutomaticMaskGenerator`).
#[derive(Clone, Debug, PartialEq)]
pub struct EverythingOptions {
    /// Points along one side of the grid.
    pub points_per_side: usize,
    /// Prompts that the decoder takes at once.
    pub points_per_batch: usize,
    /// Masks whose own estimate of their IoU is lower are dropped.
    pub pred_iou_thresh: f32,
    /// Masks that change more than this when the cut-off moves are dropped.
    pub stability_score_thresh: f32,
    /// How far the cut-off moves, in logits.
    pub stability_score_offset: f32,
    /// Of boxes that overlap more than this the better stays.
    pub box_nms_thresh: f32,
    /// Layers of crops: layer `i` has `4^i` crops; 0 is the whole picture alone.
    pub crop_n_layers: usize,
    /// Of boxes from different crops that overlap more than this the one from the smaller crop stays.
    pub crop_nms_thresh: f32,
    /// How much crops overlap, as a share of the picture's shorter side.
    pub crop_overlap_ratio: f32,
    /// The grid of layer `i` has `points_per_side / factor^i` points along one side.
    pub crop_n_points_downscale_factor: usize,
    /// Holes and islands of fewer pixels are removed.
    pub min_mask_region_area: u64,
}

impl Default for EverythingOptions {
    fn default() -> Self {
        Self {
            points_per_side: 32,
            points_per_batch: 64,
            pred_iou_thresh: 0.88,
            stability_score_thresh: 0.95,
            stability_score_offset: 1.0,
            box_nms_thresh: 0.7,
            crop_n_layers: 0,
            crop_nms_thresh: 0.7,
            crop_overlap_ratio: 512.0 / 1500.0,
            crop_n_points_downscale_factor: 1,
            min_mask_region_area: 0,
        }
    }
}

/// What was found in one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Segmentation {
    /// Columns of the displayed picture.
    pub width: u32,
    /// Rows of the displayed picture.
    pub height: u32,
    /// What the instances are.
    pub kind: SegmentationKind,
    /// In the model's order: best first where it ranks, prompt by prompt where it was asked.
    pub instances: Vec<Instance>,
}

/// What the instances of a [`Segmentation`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SegmentationKind {
    /// Segments that do not overlap; things one by one, stuff by class.
    Panoptic,
    /// Things, which may overlap.
    Instance,
    /// Classes.
    Semantic,
    /// Answers to prompts.
    Prompted,
    /// All masks that an automatic generator found.
    Everything,
    /// What texts name.
    Text,
}

/// One object, stretch of stuff, or class in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Its value in an index picture, from 1.
    pub id: u32,
    /// Which pixels.
    pub mask: Mask,
    /// How sure the model is, 0 to 1: the class's probability (instances, panoptic), the mean probability over the
    /// mask (semantic, text), the model's estimate of the mask's IoU (prompts, everything), which may lie a little
    /// outside.
    pub score: f32,
    /// What it is, where the model has classes or a text named it.
    pub label: Option<Label>,
    /// Left, top, right and bottom of the mask in pixels, right and bottom exclusive; all 0 for an empty mask.
    pub bounding_box: [u32; 4],
    /// Pixels of the mask.
    pub area: u64,
    /// How little the mask changes when the cut-off moves, 0 to 1, where it was computed.
    pub stability: Option<f32>,
    /// All masks that answer the prompt, with their scores, where they were asked for.
    pub candidates: Vec<Candidate>,
}

impl Instance {
    /// An instance without stability and candidates; box and area are the mask's.
    pub fn new(id: u32, mask: Mask, score: f32, label: Option<Label>) -> Self {
        let bounding_box = mask.bounding_box().unwrap_or_default();
        let area = mask.area();
        Self { id, mask, score, label, bounding_box, area, stability: None, candidates: Vec::new() }
    }

    /// The same with another mask; box and area follow it.
    pub fn with_mask(self, mask: Mask) -> Self {
        let bounding_box = mask.bounding_box().unwrap_or_default();
        let area = mask.area();
        Self { mask, bounding_box, area, ..self }
    }
}

/// One of the masks that answer a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Which pixels.
    pub mask: Mask,
    /// The model's estimate of its IoU.
    pub score: f32,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Label {
    /// The model's number.
    pub id: u32,
    /// Its name (`id2label`), or the text that was asked for.
    pub name: String,
}
