//! The options of `percept pose`.

use std::path::PathBuf;

use clap::Args;
use percept::pose::{Format, KeypointSet};

use super::shared::{FormatOf, OnClips, OnPictures, format_or_clip, fraction};

/// Image to keypoints.
///
/// People are found first, then the keypoints of each. Coordinates are pixels of the picture as it is displayed. A single
/// picture's JSON goes to standard output.
#[derive(Args)]
#[command(after_help = "Examples:\n  percept pose dance.jpg -f json,png\n  \
                        percept pose team.jpg --boxes boxes.json --model vitpose-plus-small\n  \
                        percept pose horses/ -o out/ --keypoints ap10k -f coco,png\n  \
                        percept pose portrait.jpg --whole\n  \
                        percept pose clip.mp4 --track -f jsonl,mp4")]
pub(crate) struct PoseArguments {
    #[command(flatten)]
    pub(crate) on: OnPictures,
    #[command(flatten)]
    pub(crate) clips: OnClips,
    /// Formats, separated by commas; of clips jsonl (a line a frame) and mp4 (drawn). [default: json or jsonl, or what the
    /// extension of --output says]
    #[arg(short, long, value_delimiter = ',', value_parser = format_or_clip::<Format>)]
    pub(crate) format: Vec<FormatOf<Format>>,
    /// Whose keypoints: percept's own detections in JSON, or [{"bbox": [x, y, width, height]}, ...]. With `image_id`s, each
    /// picture has those of its name.
    #[arg(long, value_name = "FILE")]
    pub(crate) boxes: Option<PathBuf>,
    /// The picture shows one subject, and nothing needs to be found.
    #[arg(long, conflicts_with = "boxes")]
    pub(crate) whole: bool,
    /// What finds subjects: a model of `percept models list --task detect`, ORG/REPO[@REV], or a folder.
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["boxes", "whole"])]
    pub(crate) detector: Option<String>,
    /// What counts as a subject, by the detector's names or numbers. [default: person; animals where --keypoints is of
    /// animals]
    #[arg(long = "class", value_delimiter = ',', value_name = "CLASS", conflicts_with_all = ["boxes", "whole"])]
    pub(crate) classes: Vec<String>,
    /// Pass over subjects of which the detector is less sure; its own threshold when absent.
    #[arg(long, value_name = "P", value_parser = fraction, conflicts_with_all = ["boxes", "whole"])]
    pub(crate) detect_score: Option<f32>,
    /// Which keypoints: coco, aic, mpii (people), ap10k, apt36k (animals), wholebody; the model's own when absent.
    #[arg(long, value_name = "SET")]
    pub(crate) keypoints: Option<KeypointSet>,
    /// Keypoints that score less are marked as not seen; the model's own threshold when absent.
    #[arg(long, value_name = "P", value_parser = fraction)]
    pub(crate) score: Option<f32>,
    /// Look at each subject mirrored too, and take the mean: better, and twice the time.
    #[arg(long)]
    pub(crate) flip_test: bool,
    /// Of poses that are more alike (object keypoint similarity) keep the best; 1 keeps all. [default: 0.9 where
    /// subjects are found, else 1]
    #[arg(long, value_name = "OKS", value_parser = fraction)]
    pub(crate) oks: Option<f32>,
}
