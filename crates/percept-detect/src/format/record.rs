//! The `result` of percept's own JSON.

use percept_core::coco::Rle;
use percept_core::detect::{Detection, Detections, Label};
use serde::{Deserialize, Serialize};

/// What was found in one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectRecord {
    /// Columns of the displayed picture.
    pub width: u32,
    /// Rows of the displayed picture.
    pub height: u32,
    /// Best first.
    pub detections: Vec<DetectionRecord>,
}

/// One [`Detection`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectionRecord {
    /// From 1.
    pub id: u32,
    /// In the frames of a clip, which thing it is: the same number in all of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub track: Option<u32>,
    /// What it is.
    pub label: Label,
    /// 0 to 1.
    pub score: f32,
    /// Left, top, right, bottom in pixels.
    pub box_xyxy: [f32; 4],
    /// The mask, where the model gives one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rle: Option<Rle>,
}

impl DetectRecord {
    /// Of what was found in a frame, with the track of each; see [`crate::track::Tracker::update`].
    pub fn tracked(found: &Detections, tracks: &[Option<u32>]) -> Self {
        let mut record = Self::new(found);
        for (detection, track) in record.detections.iter_mut().zip(tracks) {
            detection.track = *track;
        }
        record
    }

    /// Of all that was found.
    pub fn new(found: &Detections) -> Self {
        let detections = found.detections.iter().zip(1..).map(|(one, id)| DetectionRecord::new(one, id));
        Self { width: found.width, height: found.height, detections: detections.collect() }
    }
}

impl DetectionRecord {
    /// With its mask run-length encoded; in no track.
    pub fn new(detection: &Detection, id: u32) -> Self {
        Self {
            id,
            track: None,
            label: detection.label.clone(),
            score: detection.score,
            box_xyxy: detection.bounding_box,
            rle: detection.mask.as_ref().map(Rle::compressed),
        }
    }
}
