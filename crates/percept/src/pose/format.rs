//! What poses may be written as.

use percept_flow::{self as flow, FormatKind, Naming};

use crate::output::ResultFormat;

/// A form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Everything, with what made it.
    Json,
    /// The picture with skeletons.
    Png,
    /// COCO JSON with keypoints.
    Coco,
    /// A table, a row a keypoint.
    Csv,
    /// OpenPose's JSON, in the order of BODY_25.
    OpenPose,
}

impl ResultFormat for Format {
    const ALL: &'static [Self] = &[Self::Json, Self::Png, Self::Coco, Self::Csv, Self::OpenPose];
    const JSON: Self = Self::Json;

    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Png => "png",
            Self::Coco => "coco",
            Self::Csv => "csv",
            Self::OpenPose => "openpose",
        }
    }

    fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "json" => Some(Self::Json),
            "png" => Some(Self::Png),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }

    fn file(self) -> flow::Format {
        let (extension, kind) = match self {
            Self::Json => ("json", FormatKind::Text),
            Self::Png => ("png", FormatKind::Binary),
            Self::Coco => ("coco.json", FormatKind::Text),
            Self::Csv => ("csv", FormatKind::Text),
            Self::OpenPose => ("openpose.json", FormatKind::Text),
        };
        flow::Format { extension: extension.to_owned(), kind, naming: Naming::StemTask("pose") }
    }
}
