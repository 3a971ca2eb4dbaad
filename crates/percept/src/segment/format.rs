//! What a segmentation may be written as.

use percept_core::segment::SegmentRequest;
use percept_flow::{self as flow, FormatKind, Naming};

use crate::output::ResultFormat;

/// A form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Everything, with what made it; masks run-length encoded.
    Json,
    /// A mask where one thing is asked for, an index picture otherwise.
    Png,
    /// White where anything was found, black elsewhere.
    Mask,
    /// Each pixel's instance as its value, with a palette; the JSON has the legend.
    Index,
    /// A folder of masks, one an instance.
    Instances,
    /// The picture where anything was found, transparent elsewhere.
    Cutout,
    /// The picture with outlines and labels.
    Overlay,
    /// COCO JSON with compressed run lengths.
    Rle,
    /// COCO JSON with polygons.
    Coco,
    /// Polygons in the lines of YOLO's segmentation labels.
    Yolo,
    /// LabelMe's JSON.
    LabelMe,
}

impl Format {
    /// `png` as what it means for this request.
    pub fn settled(self, request: &SegmentRequest, classes: &[String]) -> Self {
        let one = !classes.is_empty()
            || match request {
                SegmentRequest::Objects { objects, .. } => objects.len() == 1,
                SegmentRequest::Text(texts) => texts.len() == 1,
                SegmentRequest::Whole(_) | SegmentRequest::Everything(_) => false,
            };
        match self {
            Self::Png if one => Self::Mask,
            Self::Png => Self::Index,
            other => other,
        }
    }
}

impl ResultFormat for Format {
    const ALL: &'static [Self] = &[
        Self::Json,
        Self::Png,
        Self::Mask,
        Self::Index,
        Self::Instances,
        Self::Cutout,
        Self::Overlay,
        Self::Rle,
        Self::Coco,
        Self::Yolo,
        Self::LabelMe,
    ];
    const JSON: Self = Self::Json;

    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Png => "png",
            Self::Mask => "mask",
            Self::Index => "index",
            Self::Instances => "instances",
            Self::Cutout => "cutout",
            Self::Overlay => "overlay",
            Self::Rle => "rle",
            Self::Coco => "coco",
            Self::Yolo => "yolo",
            Self::LabelMe => "labelme",
        }
    }

    fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "json" => Some(Self::Json),
            "png" => Some(Self::Png),
            "txt" => Some(Self::Yolo),
            _ => None,
        }
    }

    // Labels that trainers look for stand under the picture's own
    // name, all else says what it is.
    fn file(self) -> flow::Format {
        let task = Naming::StemTask("segment");
        let (extension, kind, naming) = match self {
            Self::Json => ("json", FormatKind::Text, task),
            Self::Png => ("png", FormatKind::Binary, task),
            Self::Mask => ("mask.png", FormatKind::Binary, task),
            Self::Index => ("index.png", FormatKind::Binary, task),
            Self::Instances => ("instances", FormatKind::Folder, task),
            Self::Cutout => ("cutout.png", FormatKind::Binary, task),
            Self::Overlay => ("overlay.png", FormatKind::Binary, task),
            Self::Rle => ("rle.json", FormatKind::Text, task),
            Self::Coco => ("coco.json", FormatKind::Text, task),
            Self::Yolo => ("txt", FormatKind::Text, Naming::Stem),
            Self::LabelMe => ("json", FormatKind::Text, Naming::Stem),
        };
        flow::Format { extension: extension.to_owned(), kind, naming }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use percept_core::segment::{Candidates, ObjectPrompt, WholeKind};

    #[test]
    fn formats_have_one_name_and_one_place_each() {
        for (at, format) in Format::ALL.iter().copied().enumerate() {
            assert_eq!(Format::named(format.name()), Some(format));
            let file = format.file();
            assert!(Format::ALL[..at].iter().all(|other| {
                let other = other.file();
                (other.extension, other.naming) != (file.extension.clone(), file.naming)
            }));
        }
    }

    #[test]
    fn a_png_of_one_thing_is_a_mask() {
        let objects = |count| SegmentRequest::Objects {
            objects: vec![ObjectPrompt::default(); count],
            candidates: Candidates::Best,
        };
        let whole = SegmentRequest::Whole(WholeKind::Auto);
        assert_eq!(Format::Png.settled(&whole, &[]), Format::Index);
        assert_eq!(Format::Png.settled(&whole, &["person".into()]), Format::Mask);
        assert_eq!(Format::Png.settled(&objects(1), &[]), Format::Mask);
        assert_eq!(Format::Png.settled(&objects(2), &[]), Format::Index);
        assert_eq!(Format::Cutout.settled(&objects(1), &[]), Format::Cutout);
    }
}
