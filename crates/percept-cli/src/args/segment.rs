//! The options of `percept segment`. Names of the automatic generator are those of SAM.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use percept::segment::{Format, PointLabel, PointPrompt};

use super::shared::{OnPictures, format, fraction, numbers};

/// Image to mask.
///
/// Without prompts, everything that the model has names for: an index picture beside the input and JSON
/// on standard output. Points, boxes and texts ask for masks of objects. Coordinates are pixels of the
/// picture as it is displayed.
#[derive(Args)]
#[command(after_help = "Examples:\n  percept segment photo.jpg\n  \
                        percept segment photo.jpg --class person -o me.png\n  \
                        percept segment photo.jpg --point 420,310 --point 40,40- -o cut.png --format cutout\n  \
                        percept segment photo.jpg --box 10,20,300,400 --box 320,40,600,400\n  \
                        percept segment photo.jpg --text 'a red mug' -f overlay\n  \
                        percept segment photo.jpg --everything\n  \
                        percept segment photos/ -o out/ --format png,rle,coco")]
pub(crate) struct SegmentArguments {
    #[command(flatten)]
    pub(crate) on: OnPictures,
    /// Formats, separated by commas. [default: json and png, or what the extension of --output says]
    #[arg(short, long, value_delimiter = ',', value_parser = format::<Format>)]
    pub(crate) format: Vec<Format>,
    #[command(flatten)]
    pub(crate) prompts: Prompts,
    #[command(flatten)]
    pub(crate) generator: Generator,
    /// How a whole picture is divided; what the checkpoint was made for when absent.
    #[arg(long, value_enum, value_name = "KIND", conflicts_with_all = ["point", "boxes", "prompts", "text", "everything"])]
    pub(crate) kind: Option<KindChoice>,
    /// Only these classes, by name or number, separated by commas.
    #[arg(long = "class", value_delimiter = ',', value_name = "CLASS")]
    pub(crate) classes: Vec<String>,
    /// Drop what scores less; the model's own threshold when absent.
    #[arg(long, value_name = "P", value_parser = fraction)]
    pub(crate) score: Option<f32>,
    /// Drop masks, and separate parts of masks, of fewer pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    pub(crate) min_area: u64,
    /// Fill holes of fewer pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    pub(crate) fill_holes: u64,
    /// Keep the best so many.
    #[arg(long, value_name = "N")]
    pub(crate) max_instances: Option<usize>,
    /// See large pictures in tiles of N by N pixels, seams joined.
    #[arg(long, value_name = "N")]
    pub(crate) tile: Option<u32>,
    /// Pixels that neighbouring tiles share. [default: an eighth of a tile]
    #[arg(long, value_name = "M", requires = "tile")]
    pub(crate) overlap: Option<u32>,
    /// What stands behind a cut-out: a colour (white, #rrggbb) or a picture. Transparent when absent.
    #[arg(long, value_name = "COLOR|IMAGE")]
    pub(crate) background: Option<String>,
    /// Whether masks and boxes are those of the picture as it is displayed or as its file stores it.
    #[arg(long, value_enum, default_value_t = OrientationChoice::Displayed, value_name = "WHICH")]
    pub(crate) orientation: OrientationChoice,
}

/// What is pointed at.
#[derive(Args)]
#[group(multiple = true)]
pub(crate) struct Prompts {
    /// A point on the object; with a minus behind it, a point that is not. All points are of one object,
    /// and of the box if there is one.
    #[arg(long, value_name = "X,Y[-]", value_parser = point, conflicts_with_all = ["everything", "text"])]
    pub(crate) point: Vec<PointPrompt>,
    /// A box around an object; each gives a mask.
    #[arg(long = "box", id = "boxes", value_name = "X0,Y0,X1,Y1", value_parser = bounding_box,
          conflicts_with_all = ["everything", "text"])]
    pub(crate) boxes: Vec<[f32; 4]>,
    /// Objects in a JSON file: [{"points": [[x, y, 1], [x, y, 0]], "box": [x0, y0, x1, y1]}, ...].
    #[arg(long, value_name = "FILE", conflicts_with_all = ["point", "boxes", "everything", "text"])]
    pub(crate) prompts: Option<PathBuf>,
    /// An earlier answer to refine: what --raw wrote, whose best mask is taken.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["everything", "text"])]
    pub(crate) mask_prompt: Option<PathBuf>,
    /// Give all masks that answer a prompt in the JSON, not only the best.
    #[arg(long)]
    pub(crate) candidates: bool,
    /// What to look for, in words; each text gives a mask.
    #[arg(long, value_name = "TEXT", conflicts_with = "everything")]
    pub(crate) text: Vec<String>,
}

/// SAM's automatic mask generator.
#[derive(Args)]
pub(crate) struct Generator {
    /// Everything that can be told apart, without names.
    #[arg(long)]
    pub(crate) everything: bool,
    /// Points along one side of the grid of prompts.
    #[arg(long, value_name = "N", default_value_t = 32, requires = "everything", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) points_per_side: u16,
    /// Prompts that are decoded at once.
    #[arg(long, value_name = "N", default_value_t = 64, requires = "everything", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) points_per_batch: u16,
    /// Drop masks whose estimated IoU is lower.
    #[arg(long, value_name = "P", default_value_t = 0.88, requires = "everything", value_parser = fraction)]
    pub(crate) pred_iou_thresh: f32,
    /// Drop masks that change more when the cut-off moves.
    #[arg(long, value_name = "P", default_value_t = 0.95, requires = "everything", value_parser = fraction)]
    pub(crate) stability_score_thresh: f32,
    /// Of boxes that overlap more, keep the best.
    #[arg(long, value_name = "IOU", default_value_t = 0.7, requires = "everything", value_parser = fraction)]
    pub(crate) box_nms_thresh: f32,
    /// Look again at 4 crops, 16 crops, ... of the picture.
    #[arg(long, value_name = "LAYERS", default_value_t = 0, requires = "everything", value_parser = clap::value_parser!(u8).range(0..=4))]
    pub(crate) crop_n_layers: u8,
    /// Points along a side of a crop are so many times fewer with each layer.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "everything", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) crop_n_points_downscale_factor: u8,
    /// Remove islands and fill holes of fewer pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 0, requires = "everything")]
    pub(crate) min_mask_region_area: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindChoice {
    /// Segments that do not overlap: things one by one, the rest by class.
    Panoptic,
    /// Things one by one.
    Instance,
    /// Classes.
    Semantic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrientationChoice {
    /// As it is displayed.
    Displayed,
    /// As the file stores it.
    Stored,
}

fn point(text: &str) -> Result<PointPrompt, String> {
    let (text, label) = match (text.strip_suffix('-'), text.strip_suffix('+')) {
        (Some(rest), _) => (rest, PointLabel::Background),
        (_, Some(rest)) => (rest, PointLabel::Foreground),
        _ => (text, PointLabel::Foreground),
    };
    let [x, y] = numbers(text)?;
    Ok(PointPrompt { x, y, label })
}

fn bounding_box(text: &str) -> Result<[f32; 4], String> {
    let [x0, y0, x1, y1] = numbers(text)?;
    if x0 < x1 && y0 < y1 {
        Ok([x0, y0, x1, y1])
    } else {
        Err(format!("`{text}` has no area; a box is left,top,right,bottom"))
    }
}
