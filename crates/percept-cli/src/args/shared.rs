//! Options that every task has.

use std::ffi::OsString;
use std::num::NonZero;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use percept::flow::Shard;
use percept::media::picture::PictureLimits;
use percept::{Device, Precision, ResultFormat, clip};

/// What goes in and where it comes out.
#[derive(Args)]
pub(crate) struct Files {
    /// Files, folders (all their files, at any depth), globs, or `-` for standard input.
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<OsString>,
    /// Read further inputs from a file, one a line; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) files_from: Option<PathBuf>,
    /// Names in `--files-from` end with a zero byte.
    #[arg(short = '0', long = "null", requires = "files_from")]
    pub(crate) null: bool,
    /// Of the files in folders only these, such as '*.jpg' or 'raw/**'. May be repeated.
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Of the files in folders none of these. May be repeated.
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Do part K of N (1 to N) of all inputs, divided by a hash of their paths; `auto` asks Slurm,
    /// `auto/N` also an indexed job of Kubernetes. Join the manifests with `percept manifest merge`.
    #[arg(long, value_name = "K/N")]
    pub(crate) shard: Option<Shard>,
    /// A file, a folder, a template ({} path, {/} name, {//} folder, {.} path and {/.} name without
    /// extension), or `-` for standard output. A folder that goes in is mirrored.
    #[arg(short, long, value_name = "PATH", alias = "output-dir")]
    pub(crate) output: Option<OsString>,
    /// Replace outputs that are there already.
    #[arg(short = 'y', long, visible_alias = "force")]
    pub(crate) overwrite: bool,
    /// Also write the prepared input and the raw outputs of the network, as safetensors.
    #[arg(long, value_name = "FILE")]
    pub(crate) raw: Option<PathBuf>,
    /// Leave times out of JSON, so that two runs can be compared byte by byte.
    #[arg(long)]
    pub(crate) no_timings: bool,
    /// Do only what is missing or changed (input, options, model or output) since the run that wrote the
    /// manifest; killed runs too.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Like --resume, and try again what failed.
    #[arg(long)]
    pub(crate) retry_failed: bool,
    /// Where a line is written for every input that ends. [default: percept-run.jsonl in the folder of the
    /// outputs]
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// Write a page to look at: one HTML file with all results, failures first. `percept manifest report`
    /// makes it later.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Print what would be made of what, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Inputs that are worked on at once, which share the threads; `auto` is up to 4. Results are the same.
    #[arg(short, long, value_name = "N", default_value = "auto", value_parser = auto_or_number)]
    pub(crate) jobs: AutoOr,
    /// Inputs that go through the network together where their shapes allow it; `auto` leaves it to the model. The
    /// last digits of scores of pictures may depend on it; transcripts do not.
    #[arg(long, value_name = "N", default_value = "auto", value_parser = auto_or_number)]
    pub(crate) batch: AutoOr,
    /// End with the first item that fails.
    #[arg(long)]
    pub(crate) fail_fast: bool,
}

/// A number, or the program's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AutoOr {
    Auto,
    Number(NonZero<usize>),
}

fn auto_or_number(text: &str) -> Result<AutoOr, String> {
    match text.parse() {
        _ if text == "auto" => Ok(AutoOr::Auto),
        Ok(number) => Ok(AutoOr::Number(number)),
        Err(_) => Err("it is a number from 1, or auto".into()),
    }
}

/// What every task on pictures has.
#[derive(Args)]
pub(crate) struct OnPictures {
    #[command(flatten)]
    pub(crate) files: Files,
    /// A model of `percept models list`, ORG/REPO[@REV], or a folder.
    #[arg(short, long)]
    pub(crate) model: Option<String>,
    #[command(flatten)]
    pub(crate) size: SizeLimit,
    #[command(flatten)]
    pub(crate) running: Running,
}

/// What tasks have that take clips too.
#[derive(Args)]
pub(crate) struct OnClips {
    /// Of a clip, look at the first of every N frames. [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) every: Option<NonZero<u32>>,
    /// Of a clip, follow things from frame to frame, and number them (ByteTrack). Those that score 0.5 (or what is asked
    /// for) count as sure; what goes on with them may score less.
    #[arg(long)]
    pub(crate) track: bool,
}

/// A format of pictures, or of clips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormatOf<F> {
    Picture(F),
    Clip(clip::Format),
}

/// How large pictures may be.
#[derive(Args)]
pub(crate) struct SizeLimit {
    /// Refuse pictures that say they have more millions of pixels.
    #[arg(long, value_name = "MEGAPIXELS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_pixels: u32,
}

impl SizeLimit {
    pub(crate) fn limits(&self) -> PictureLimits {
        PictureLimits { max_pixels: u64::from(self.max_pixels) * 1_000_000 }
    }
}

/// What every command has that loads a model and runs it.
#[derive(Args)]
pub(crate) struct Running {
    #[command(flatten)]
    pub(crate) compute: Compute,
    #[command(flatten)]
    pub(crate) fetching: Fetching,
    #[command(flatten)]
    pub(crate) progress: ProgressChoice,
}

/// Where and how the network runs.
#[derive(Args)]
pub(crate) struct Compute {
    /// auto, cpu, cuda, cuda:N or metal. What is asked for and not there is an error.
    #[arg(long, default_value = "auto", value_parser = |text: &str| text.parse::<Device>())]
    pub(crate) device: Device,
    /// auto, f32, bf16x3 (f32 with products of 16 significant bits), bf16 or int8; results say what
    /// ran.
    #[arg(long, default_value = "auto", value_parser = |text: &str| text.parse::<Precision>())]
    pub(crate) precision: Precision,
    /// Threads of the computation; all processors when absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

/// Whether models may be fetched.
#[derive(Args)]
pub(crate) struct Fetching {
    /// Use what is here and open no socket.
    #[arg(long, global = true)]
    pub(crate) offline: bool,
    /// Accept the licence of weights that may not be used commercially; it is remembered.
    #[arg(long, global = true)]
    pub(crate) accept_license: bool,
}

/// What is shown meanwhile, on standard error.
#[derive(Args)]
pub(crate) struct ProgressChoice {
    /// How progress is shown: bars on a terminal, JSON lines, or not at all.
    #[arg(long, value_enum, default_value_t = ProgressStyle::Auto, global = true)]
    pub(crate) progress: ProgressStyle,
    /// Say nothing but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressStyle {
    Auto,
    Bar,
    Json,
    None,
}

/// So many numbers between commas.
pub(crate) fn numbers<const N: usize>(text: &str) -> Result<[f32; N], String> {
    let wrong = || format!("`{text}` is not {N} numbers separated by commas");
    let parsed = text.split(',').map(|number| number.trim().parse::<f32>());
    let values: Vec<f32> = parsed.collect::<Result<_, _>>().map_err(|_| wrong())?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(wrong());
    }
    values.try_into().map_err(|_| wrong())
}

/// A format by its name.
pub(crate) fn format<F: ResultFormat>(text: &str) -> Result<F, String> {
    F::named(text).ok_or_else(|| {
        let names: Vec<&str> = F::ALL.iter().map(|format| format.name()).collect();
        format!("formats are {}", names.join(", "))
    })
}

/// A format of pictures or of clips, by its name.
pub(crate) fn format_or_clip<F: ResultFormat>(text: &str) -> Result<FormatOf<F>, String> {
    match clip::Format::ALL.into_iter().find(|format| format.name() == text) {
        Some(format) => Ok(FormatOf::Clip(format)),
        None => format(text).map(FormatOf::Picture).map_err(|error| format!("{error}; of clips jsonl, mp4")),
    }
}

/// A number between 0 and 1.
pub(crate) fn fraction(text: &str) -> Result<f32, String> {
    let [value] = numbers(text)?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("it lies between 0 and 1".into()) }
}
