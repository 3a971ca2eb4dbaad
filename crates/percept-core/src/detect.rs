//! Image to boxes: what goes in and what comes out.

use std::sync::Arc;

pub use crate::image::{Image, Orientation};
pub use crate::mask::Mask;
pub use crate::segment::Label;

/// One picture and what is asked of it.
#[derive(Clone, Debug)]
pub struct DetectInput {
    /// The picture.
    pub image: Arc<Image>,
    /// What is asked.
    pub options: Arc<DetectOptions>,
}

/// What to look for, and what to keep of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectOptions {
    /// What to look for, in words, where the model reads them; each text becomes a class, numbered from 0.
    pub texts: Vec<String>,
    /// Boxes below this score are dropped; the model's own threshold when absent.
    pub score: Option<f32>,
    /// Words of a text below this score are left out of a phrase; the model's own threshold when absent.
    pub text_score: Option<f32>,
    /// Only these classes, by name or number; all when empty.
    pub classes: Vec<String>,
    /// Of boxes that overlap the better stays; none is dropped when absent.
    pub nms: Option<Nms>,
    /// The best so many; all when absent.
    pub max_detections: Option<usize>,
}

/// Non-maximum suppression: of two boxes that overlap too much the one with the lower score goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nms {
    /// Boxes overlap too much above this intersection over union.
    pub iou: f32,
    /// Which boxes are compared.
    pub scope: NmsScope,
}

/// Which boxes non-maximum suppression compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NmsScope {
    /// Those of one class.
    #[default]
    Class,
    /// All.
    Agnostic,
}

/// What was found in one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Detections {
    /// Columns of the displayed picture.
    pub width: u32,
    /// Rows of the displayed picture.
    pub height: u32,
    /// Best first.
    pub detections: Vec<Detection>,
}

/// One object.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// What it is.
    pub label: Label,
    /// How sure the model is, 0 to 1.
    pub score: f32,
    /// Left, top, right and bottom, in pixels of the displayed picture with the corners of pixels at whole numbers;
    /// never outside of it.
    pub bounding_box: [f32; 4],
    /// Which pixels, where the model says so.
    pub mask: Option<Mask>,
}

impl Detections {
    /// Nothing, in a picture of that size.
    pub fn none((width, height): (u32, u32)) -> Self {
        Self { width, height, detections: Vec::new() }
    }
}
