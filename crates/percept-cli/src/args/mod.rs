//! What may be typed. What it means is settled in `commands`.

mod caption;
mod depth;
mod detect;
mod eval;
mod pose;
mod register;
mod run;
mod segment;
mod shared;
mod transcribe;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;

pub(crate) use caption::{CaptionArguments, TaskChoice as CaptionTaskChoice};
pub(crate) use depth::DepthArguments;
pub(crate) use detect::{DetectArguments, MergeChoice};
pub(crate) use eval::{EvalArguments, EvalFiles, EvalTask, NormalizerChoice};
pub(crate) use pose::PoseArguments;
pub(crate) use register::{MethodChoice, RegisterArguments, RegisterFormat};
pub(crate) use run::RunArguments;
pub(crate) use segment::{KindChoice, OrientationChoice, SegmentArguments};
pub(crate) use shared::{
    AutoOr, Compute, Fetching, Files, FormatOf, OnClips, OnPictures, ProgressChoice, ProgressStyle, Running,
};
pub(crate) use transcribe::{FormatChoice, TaskChoice, TranscribeArguments};

/// Perception in one program: image to mask, boxes and keypoints, speech to text and point clouds onto each other, from any published checkpoint, offline if you like.
#[derive(Parser)]
#[command(name = "percept", version, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 all done; 1 some items failed; 2 wrong usage; 3 a model or device \
                        could not be had; 130 interrupted.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Image to mask.
    #[command(visible_alias = "mask")]
    Segment(Box<SegmentArguments>),
    /// Image to boxes.
    Detect(Box<DetectArguments>),
    /// Image to text.
    Caption(Box<CaptionArguments>),
    /// Image to depth.
    Depth(Box<DepthArguments>),
    /// Image to keypoints.
    Pose(Box<PoseArguments>),
    /// Speech to text and subtitles.
    Transcribe(Box<TranscribeArguments>),
    /// A pipeline of several stages, from a file.
    Run(Box<RunArguments>),
    /// Answer requests on standard input, one a line, with results on standard output; models stay loaded.
    ///
    /// A request is a path as a JSON string, or {"path": PATH, "id": ANYTHING}. An answer is a line with the same `id`,
    /// and `result` (what `-f json` would write) or `error`. Answers come in the order of the requests.
    #[command(subcommand)]
    Worker(WorkerTask),
    /// Two point clouds to one rigid transform.
    Register(Box<RegisterArguments>),
    /// How good answers are, against what is true.
    Eval(EvalArguments),
    /// List, fetch, check and remove models.
    Models(ModelsArguments),
    /// What runs have recorded.
    Manifest(ManifestArguments),
    /// Time a model by stages; prints JSON.
    Bench(BenchArguments),
    /// What this machine, this build and the caches are; measures the processor.
    Doctor(DoctorArguments),
    /// Print completions for a shell.
    Completions(CompletionsArguments),
    /// Print the manual page.
    Man,
}

#[derive(Subcommand)]
pub(crate) enum WorkerTask {
    /// Image to boxes.
    #[command(mut_arg("inputs", |inputs| inputs.hide(true)))]
    Detect(Box<DetectArguments>),
    /// Image to text.
    #[command(mut_arg("inputs", |inputs| inputs.hide(true)))]
    Caption(Box<CaptionArguments>),
    /// Image to depth.
    #[command(mut_arg("inputs", |inputs| inputs.hide(true)))]
    Depth(Box<DepthArguments>),
    /// Image to keypoints.
    #[command(mut_arg("inputs", |inputs| inputs.hide(true)))]
    Pose(Box<PoseArguments>),
    /// A pipeline of several stages, from a file.
    #[command(mut_arg("inputs", |inputs| inputs.hide(true)))]
    Run(Box<RunArguments>),
    /// Image to mask.
    #[command(mut_arg("inputs", |inputs| inputs.hide(true)))]
    Segment(Box<SegmentArguments>),
    /// Speech to text.
    #[command(mut_arg("inputs", |inputs| inputs.hide(true)))]
    Transcribe(Box<TranscribeArguments>),
}

#[derive(Args)]
pub(crate) struct ModelsArguments {
    #[command(subcommand)]
    pub(crate) action: ModelsAction,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) fetching: Fetching,
    #[command(flatten)]
    pub(crate) progress: ProgressChoice,
}

#[derive(Subcommand)]
pub(crate) enum ModelsAction {
    /// All models, and whether they are here.
    List {
        /// Of one task only.
        #[arg(long)]
        task: Option<String>,
    },
    /// All that is known of a model.
    Show {
        /// A name of the list, or ORG/REPO[@REV].
        name: String,
    },
    /// Fetch models.
    Pull {
        /// Names of the list, or ORG/REPO[@REV].
        #[arg(required = true)]
        names: Vec<String>,
        /// Ask the source for the newest, and check every byte that is here.
        #[arg(long)]
        force: bool,
    },
    /// Read every byte of a model, or of all that are here, and compare with the lock file.
    Verify {
        /// A name of the list, or ORG/REPO[@REV].
        name: Option<String>,
    },
    /// Remove a model's files.
    Rm {
        /// A name of the list, or ORG/REPO[@REV].
        name: String,
    },
    /// Print the folder of a model that is here.
    Path {
        /// A name of the list, or ORG/REPO[@REV].
        name: String,
    },
}

#[derive(Args)]
pub(crate) struct ManifestArguments {
    #[command(subcommand)]
    pub(crate) action: ManifestAction,
    /// Replace what is there already.
    #[arg(short = 'y', long, visible_alias = "force", global = true)]
    pub(crate) overwrite: bool,
}

#[derive(Subcommand)]
pub(crate) enum ManifestAction {
    /// Join the manifests of several runs, such as those of --shard: a line an input, successes first choice.
    Merge {
        /// Manifests.
        #[arg(required = true)]
        manifests: Vec<PathBuf>,
        /// Where to write it; standard output when absent.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Write the results of a whole run into one file, from what the run wrote for each input.
    Export {
        /// Manifests, or folders that hold one.
        #[arg(required = true)]
        manifests: Vec<PathBuf>,
        /// coco needs a run with `-f coco`, all others one with `-f json`.
        #[arg(short, long, value_enum)]
        format: ExportFormat,
        /// Where to write it; standard output when absent.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Make a page to look at of a whole run: one HTML file with thumbnails, transcripts, failures and times.
    Report {
        /// Manifests, or folders that hold one.
        #[arg(required = true)]
        manifests: Vec<PathBuf>,
        /// Where to write it; links in it are relative to its folder. Standard output when absent.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// A result a line.
    Jsonl,
    /// A row an instance or a segment of speech.
    Csv,
    /// The same with tabs.
    Tsv,
    /// The same as Apache Parquet, with typed columns.
    Parquet,
    /// One COCO file.
    Coco,
}

#[derive(Args)]
pub(crate) struct BenchArguments {
    /// A model: a name of the list, ORG/REPO[@REV], or a folder.
    pub(crate) model: String,
    /// A recording or a picture; a built-in recording of a few seconds when absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// How often it is timed, after one run that is not; medians are printed.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Beams of the search; 1 is greedy.
    #[arg(long, default_value_t = 1)]
    pub(crate) beam_size: usize,
    /// JSON is what this command prints; accepted for symmetry with `models`.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) running: Running,
}

#[derive(Args)]
pub(crate) struct DoctorArguments {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Threads of the measurement; all processors when absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    #[command(flatten)]
    pub(crate) fetching: Fetching,
    #[command(flatten)]
    pub(crate) progress: ProgressChoice,
}

#[derive(Args)]
pub(crate) struct CompletionsArguments {
    /// The shell.
    pub(crate) shell: Shell,
}
