//! The options of `percept eval`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use percept::depth::DepthUnit;
use percept::eval::{Limit, depth::Alignment};

/// How good answers are, against what is true: numbers equal to those of the reference tools.
///
/// Exit code 1 where a limit of --min or --max is missed.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  percept eval detect instances_val2017.json results.json --min AP=0.5\n  \
                        percept eval pose person_keypoints_val2017.json results.json --json\n  \
                        percept eval segment truth/ results/ --ignore 255 --min mIoU=0.7\n  \
                        percept eval transcribe truth/ transcripts/ --max WER=0.1"
)]
pub(crate) struct EvalArguments {
    #[command(subcommand)]
    pub(crate) task: EvalTask,
}

#[derive(Subcommand)]
pub(crate) enum EvalTask {
    /// Boxes by COCO's mAP, as pycocotools: AP, AP50, AP75, AP-small, AP-medium, AP-large, AR-1, AR-10, AR-100,
    /// AR-small, AR-medium, AR-large, and by class.
    ///
    /// TRUTH is a COCO file. RESULTS is a list of {image_id, category_id, bbox, score}, or a COCO file with scores, as
    /// `percept detect -f coco` writes it: its images are matched by file name, its classes by name.
    Detect(EvalFiles),
    /// Keypoints by COCO's OKS, as pycocotools: AP, AP50, AP75, AP-medium, AP-large, AR, AR50, AR75, AR-medium, AR-large.
    ///
    /// TRUTH is a COCO file. RESULTS is a list of {image_id, category_id, keypoints, score}, or a COCO file with scores.
    Pose {
        #[command(flatten)]
        files: EvalFiles,
        /// A sigma a keypoint, separated by commas, for other keypoints than COCO's 17.
        #[arg(long, value_delimiter = ',', value_name = "SIGMAS")]
        sigmas: Option<Vec<f64>>,
    },
    /// Captions: exact, BLEU-1 to BLEU-4, ROUGE-L and CIDEr, as pycocoevalcap on the same words.
    ///
    /// TRUTH and RESULTS are COCO's JSON (`annotations` of image_id and caption; a list of image_id and caption), or text files
    /// or folders of them with the same stems: each line of TRUTH is a reference, the first line of a result the caption.
    Caption(EvalFiles),
    /// Depth maps: AbsRel, SqRel, RMSE, RMSE-log, log10, delta1, delta2, delta3, ordinal-error; means over pictures.
    ///
    /// TRUTH and RESULTS are npy, TIFF or PNGs of 16-bit grey, or folders of them with the same stems. Truth that is 0, not
    /// finite or absent does not count. What percept writes as PNG says what it is; of other results --unit does.
    Depth {
        #[command(flatten)]
        files: EvalFiles,
        /// Metres of one step of a PNG of TRUTH, such as 0.00390625 for KITTI. [default: what it says, else 0.001]
        #[arg(long, value_name = "METRES")]
        truth_scale: Option<f64>,
        /// What RESULTS are, where they do not say it: metres, or inverse depth without scale and shift.
        #[arg(long, value_enum, default_value_t = UnitChoice::Metres)]
        unit: UnitChoice,
        /// What is fitted to TRUTH first: none, median, scale-shift. [default: none for metres, scale-shift for relative]
        #[arg(long, value_name = "HOW")]
        align: Option<Alignment>,
        /// Truth beyond this does not count.
        #[arg(long, value_name = "METRES")]
        max_depth: Option<f64>,
    },
    /// Index pictures, whose values are the numbers of classes: mIoU, pixel-accuracy, boundary-F, and by class.
    ///
    /// boundary-F is that of DAVIS: outlines meet where they are at most 0.008 of the diagonal apart.
    ///
    /// TRUTH and RESULTS are PNGs of up to 16 bits, grey or with a palette, or folders of them with the same names.
    Segment {
        #[command(flatten)]
        files: EvalFiles,
        /// Pixels that have this value in TRUTH do not count. Can be given several times.
        #[arg(long, value_name = "VALUE")]
        ignore: Vec<u16>,
    },
    /// Transcripts: WER and CER, as jiwer.
    ///
    /// TRUTH and RESULTS are files (txt, json of percept or whisper, srt, vtt), or folders of them with the same stems.
    Transcribe {
        #[command(flatten)]
        files: EvalFiles,
        /// What is done to both texts first: Whisper's normaliser for English, that for any language, or nothing.
        #[arg(long, value_enum, default_value_t = NormalizerChoice::English)]
        normalizer: NormalizerChoice,
    },
}

#[derive(Args)]
pub(crate) struct EvalFiles {
    /// What is true.
    pub(crate) truth: PathBuf,
    /// What was answered.
    pub(crate) results: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// End with exit code 1 where a metric is less. Can be given several times.
    #[arg(long, value_name = "METRIC=VALUE")]
    pub(crate) min: Vec<Limit>,
    /// End with exit code 1 where a metric is more, such as WER=0.1. Can be given several times.
    #[arg(long, value_name = "METRIC=VALUE")]
    pub(crate) max: Vec<Limit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnitChoice {
    Metres,
    Relative,
}

impl UnitChoice {
    pub(crate) fn unit(self) -> DepthUnit {
        match self {
            Self::Metres => DepthUnit::Metres,
            Self::Relative => DepthUnit::RelativeInverse,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NormalizerChoice {
    English,
    Basic,
    None,
}
