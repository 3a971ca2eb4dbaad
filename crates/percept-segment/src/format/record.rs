//! The `result` of percept's own JSON.

use percept_core::coco::Rle;
use percept_core::segment::{Candidate, Instance, Label, Segmentation, SegmentationKind};
use serde::{Deserialize, Serialize};

/// Which picture masks and boxes are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The one that is displayed.
    #[default]
    Displayed,
    /// The one that the file stores, before its EXIF orientation is applied.
    Stored,
}

impl Standing {
    fn is_displayed(&self) -> bool {
        *self == Self::Displayed
    }
}

/// What was found in one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// What the instances are.
    pub kind: SegmentationKind,
    /// Which picture all numbers are of; absent where it is the displayed one.
    #[serde(skip_serializing_if = "Standing::is_displayed", default)]
    pub standing: Standing,
    /// Columns of that picture.
    pub width: u32,
    /// Rows of that picture.
    pub height: u32,
    /// In the model's order.
    pub instances: Vec<InstanceRecord>,
    /// What the values of the index picture mean; absent unless one is written.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub legend: Vec<LegendEntry>,
}

/// One [`Instance`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// From 1.
    pub id: u32,
    /// What it is, or null.
    pub label: Option<Label>,
    /// 0 to 1.
    pub score: f32,
    /// Left, top, right, bottom in pixels, right and bottom exclusive.
    #[serde(rename = "box")]
    pub bounding_box: [u32; 4],
    /// Pixels of the mask.
    pub area: u64,
    /// Where it was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stability: Option<f32>,
    /// The mask.
    pub rle: Rle,
    /// Where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub candidates: Vec<CandidateRecord>,
}

/// One [`Candidate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateRecord {
    /// The model's estimate of the mask's IoU.
    pub score: f32,
    /// The mask.
    pub rle: Rle,
}

/// What a value of an index picture means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegendEntry {
    /// The value of the pixels: the instance's id.
    pub value: u32,
    /// What they are, or null.
    pub label: Option<Label>,
    /// `#rrggbb`, where the picture has a palette; who draws it knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

impl SegmentRecord {
    /// Of the displayed picture, without a legend.
    pub fn new(segmentation: &Segmentation) -> Self {
        Self {
            kind: segmentation.kind,
            standing: Standing::Displayed,
            width: segmentation.width,
            height: segmentation.height,
            instances: segmentation.instances.iter().map(InstanceRecord::new).collect(),
            legend: Vec::new(),
        }
    }
}

impl InstanceRecord {
    /// With its mask run-length encoded.
    pub fn new(instance: &Instance) -> Self {
        Self {
            id: instance.id,
            label: instance.label.clone(),
            score: instance.score,
            bounding_box: instance.bounding_box,
            area: instance.area,
            stability: instance.stability,
            rle: Rle::compressed(&instance.mask),
            candidates: instance.candidates.iter().map(CandidateRecord::new).collect(),
        }
    }
}

impl CandidateRecord {
    fn new(candidate: &Candidate) -> Self {
        Self { score: candidate.score, rle: Rle::compressed(&candidate.mask) }
    }
}

impl LegendEntry {
    /// One an instance, without colours.
    pub fn all(segmentation: &Segmentation) -> Vec<Self> {
        let entry =
            |instance: &Instance| Self { value: instance.id, label: instance.label.clone(), color: None };
        segmentation.instances.iter().map(entry).collect()
    }
}
