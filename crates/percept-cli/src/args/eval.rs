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
    /// Transforms: recall, RRE (degrees) and RTE (mean, median, max, and of what is registered), RMSE, false-trust.
    ///
    /// TRUTH and RESULTS are files of transforms (4x4 rows, KITTI, TUM, 3DMatch's gt.log, JSON as --report writes it), or
    /// folders of them with the same stems. A pair without a result is not registered.
    Register {
        #[command(flatten)]
        files: EvalFiles,
        /// The largest rotation error of what is registered.
        #[arg(long, value_name = "DEGREES", default_value_t = 5.0)]
        max_rotation: f64,
        /// The largest translation error of what is registered, in the unit of the files.
        #[arg(long, value_name = "LENGTH", default_value_t = 2.0)]
        max_translation: f64,
        /// The largest RMSE of what is registered, instead of the two above.
        #[arg(long, value_name = "LENGTH", requires = "sources")]
        max_rmse: Option<f64>,
        /// The source of the pair, or a folder of sources with the names of the pairs: RMSE is of their points.
        #[arg(long, value_name = "PATH")]
        sources: Option<PathBuf>,
    },
    /// Pictures of classes: mIoU, pixel-accuracy, boundary-F, and by class. Panoptic segments: PQ, SQ, RQ, of things and stuff.
    ///
    /// boundary-F is that of DAVIS: outlines meet where they are at most 0.008 of the diagonal apart. PQ is that of panopticapi.
    ///
    /// TRUTH is a PNG of up to 16 bits, grey or with a palette, whose values are the numbers of classes, or a folder of such;
    /// RESULTS are of the same kind and names, or what `percept segment -f json` wrote. Or TRUTH is COCO's panoptic JSON, with
    /// its PNGs in the folder of the same name beside it; then RESULTS are another, or what `percept segment -f json` wrote.
    Segment {
        #[command(flatten)]
        files: EvalFiles,
        /// Pixels that have this value in TRUTH do not count. Can be given several times.
        #[arg(long, value_name = "VALUE")]
        ignore: Vec<u16>,
        /// Added to the model's numbers of classes in percept's JSON, such as 1 where the truth counts from 1.
        #[arg(long, value_name = "N", default_value_t = 0)]
        class_offset: u16,
        /// The truth's value of what percept's JSON has no class for, such as 0.
        #[arg(long, value_name = "VALUE")]
        background: Option<u16>,
        /// The PNGs of a panoptic TRUTH.
        #[arg(long, value_name = "DIR")]
        truth_folder: Option<PathBuf>,
        /// The PNGs of panoptic RESULTS in COCO's form.
        #[arg(long, value_name = "DIR")]
        results_folder: Option<PathBuf>,
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
