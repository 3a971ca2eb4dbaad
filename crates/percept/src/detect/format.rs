//! What detections may be written as.

use percept_flow::{self as flow, FormatKind, Naming};

use crate::output::ResultFormat;

/// A form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Everything, with what made it.
    Json,
    /// The picture with boxes and labels.
    Png,
    /// COCO JSON.
    Coco,
    /// YOLO's detection labels.
    Yolo,
    /// Pascal VOC's XML.
    Voc,
    /// LabelMe's JSON with rectangles.
    LabelMe,
    /// A table, a row an object.
    Csv,
    /// A folder of pictures, one an object.
    Crops,
}

impl ResultFormat for Format {
    const ALL: &'static [Self] =
        &[Self::Json, Self::Png, Self::Coco, Self::Yolo, Self::Voc, Self::LabelMe, Self::Csv, Self::Crops];
    const JSON: Self = Self::Json;

    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Png => "png",
            Self::Coco => "coco",
            Self::Yolo => "yolo",
            Self::Voc => "voc",
            Self::LabelMe => "labelme",
            Self::Csv => "csv",
            Self::Crops => "crops",
        }
    }

    fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "json" => Some(Self::Json),
            "png" => Some(Self::Png),
            "txt" => Some(Self::Yolo),
            "xml" => Some(Self::Voc),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }

    // Labels that trainers look for stand under the picture's own
    // name, all else says what it is.
    fn file(self) -> flow::Format {
        let task = Naming::StemTask("detect");
        let (extension, kind, naming) = match self {
            Self::Json => ("json", FormatKind::Text, task),
            Self::Png => ("png", FormatKind::Binary, task),
            Self::Coco => ("coco.json", FormatKind::Text, task),
            Self::Yolo => ("txt", FormatKind::Text, Naming::Stem),
            Self::Voc => ("xml", FormatKind::Text, Naming::Stem),
            Self::LabelMe => ("json", FormatKind::Text, Naming::Stem),
            Self::Csv => ("csv", FormatKind::Text, task),
            Self::Crops => ("crops", FormatKind::Folder, task),
        };
        flow::Format { extension: extension.to_owned(), kind, naming }
    }
}
