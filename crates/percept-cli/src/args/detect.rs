//! The options of `percept detect`.

use clap::{Args, ValueEnum};
use percept::detect::Format;

use super::shared::{FormatOf, OnClips, OnPictures, format_or_clip, fraction};

/// Image to boxes.
///
/// Boxes are left, top, right, bottom in pixels of the picture as it is displayed. A single picture's JSON goes to
/// standard output.
#[derive(Args)]
#[command(after_help = "Examples:\n  percept detect street.jpg\n  \
                        percept detect photos/ -o out/ -f coco,yolo,png --class person,car --score 0.4\n  \
                        percept detect shelf.jpg --text 'a red mug, a price tag'\n  \
                        percept detect aerial.tif --tile 1024 --overlap 128\n  \
                        percept detect clip.mp4 --track -f jsonl,mp4")]
pub(crate) struct DetectArguments {
    #[command(flatten)]
    pub(crate) on: OnPictures,
    #[command(flatten)]
    pub(crate) clips: OnClips,
    /// Formats, separated by commas; of clips jsonl (a line a frame) and mp4 (drawn). [default: json or jsonl, or what the
    /// extension of --output says]
    #[arg(short, long, value_delimiter = ',', value_parser = format_or_clip::<Format>)]
    pub(crate) format: Vec<FormatOf<Format>>,
    /// What to look for, in words, separated by commas; each is a class. Needs a model that reads.
    #[arg(long, value_name = "TEXT", value_delimiter = ',')]
    pub(crate) text: Vec<String>,
    /// Leave words out of a found phrase that score less; the model's own threshold when absent.
    #[arg(long, value_name = "P", value_parser = fraction, requires = "text")]
    pub(crate) text_score: Option<f32>,
    /// Only these classes, by name or number, separated by commas.
    #[arg(long = "class", value_delimiter = ',', value_name = "CLASS")]
    pub(crate) classes: Vec<String>,
    /// Drop what scores less; the model's own threshold when absent.
    #[arg(long, value_name = "P", value_parser = fraction)]
    pub(crate) score: Option<f32>,
    /// Of boxes of one class that overlap more than this (intersection over union) keep the best.
    #[arg(long, value_name = "IOU", value_parser = fraction)]
    pub(crate) nms: Option<f32>,
    /// Let boxes of all classes compete in --nms.
    #[arg(long, requires = "nms")]
    pub(crate) nms_agnostic: bool,
    /// Keep the best so many.
    #[arg(long, value_name = "N")]
    pub(crate) max_detections: Option<usize>,
    /// See large pictures in tiles of N by N pixels. Several sizes, separated by commas, are several scales; 0 is the
    /// whole picture.
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub(crate) tile: Vec<u32>,
    /// Pixels that neighbouring tiles share; objects up to this size are seen whole somewhere. [default: an eighth of a
    /// tile]
    #[arg(long, value_name = "M", requires = "tile")]
    pub(crate) overlap: Option<u32>,
    /// How what several tiles saw becomes one: the best box stays, or boxes are averaged (weighted box fusion).
    #[arg(long, value_enum, value_name = "HOW", default_value_t = MergeChoice::Nms, requires = "tile")]
    pub(crate) merge: MergeChoice,
    /// From which intersection over union on boxes of tiles are one.
    #[arg(long, value_name = "IOU", default_value_t = 0.5, value_parser = fraction, requires = "tile")]
    pub(crate) merge_iou: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MergeChoice {
    /// Non-maximum suppression.
    Nms,
    /// Weighted box fusion.
    Wbf,
}
