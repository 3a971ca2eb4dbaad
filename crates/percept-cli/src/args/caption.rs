//! The options of `percept caption`.

use std::ffi::OsString;

use clap::{Args, ValueEnum};
use percept::caption::Format;

use super::shared::{OnPictures, format, numbers};

/// Image to text.
///
/// A single picture's caption goes to standard output, one line; those of a folder stand beside each picture as `.txt`,
/// or in the folder of --output.
#[derive(Args)]
#[command(after_help = "Examples:\n  percept caption photo.jpg\n  \
                        percept caption photos/ -o out/ -f txt,json --prompt 'a photo of' --num 3\n  \
                        percept caption photo.jpg --task more-detailed-caption\n  \
                        percept caption --rank 'a cat' 'a dog' photo.jpg")]
pub(crate) struct CaptionArguments {
    #[command(flatten)]
    pub(crate) on: OnPictures,
    /// Formats, separated by commas: txt, json, xmp. [default: txt, or what the extension of --output says]
    #[arg(short, long, value_delimiter = ',', value_parser = format::<Format>)]
    pub(crate) format: Vec<Format>,
    /// Also write an XMP sidecar whose description is the caption.
    #[arg(long)]
    pub(crate) xmp: bool,
    /// What the caption begins with.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// What a model with named tasks (Florence-2) does.
    #[arg(long, value_enum, value_name = "TASK", conflicts_with = "prompt")]
    pub(crate) task: Option<TaskChoice>,
    /// Say how well each of these texts fits instead. The last arguments, if they are files or folders, are inputs.
    #[arg(long, value_name = "TEXT", num_args = 1.., conflicts_with_all = ["prompt", "task", "num", "beams", "temperature"])]
    pub(crate) rank: Vec<OsString>,
    /// Captions a picture, best first; more than one needs as many beams, or --temperature. All are in the JSON.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) num: u16,
    /// Beams of the search; 1 is greedy. [default: the checkpoint's own, or as many as --num]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), conflicts_with = "temperature")]
    pub(crate) beams: Option<u16>,
    /// Scores of beams are divided by their length to this power.
    #[arg(long, value_name = "X", default_value = "1", value_parser = number, requires = "beams")]
    pub(crate) length_penalty: f32,
    /// Draw tokens at random; scores are divided by this.
    #[arg(long, value_name = "T", value_parser = positive)]
    pub(crate) temperature: Option<f32>,
    /// Draw from the best so many tokens only.
    #[arg(long, value_name = "K", requires = "temperature", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) top_k: Option<u32>,
    /// Draw from the fewest tokens whose probabilities sum to this.
    #[arg(long, value_name = "P", requires = "temperature", value_parser = part)]
    pub(crate) top_p: Option<f32>,
    /// Of the random numbers.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "temperature")]
    pub(crate) seed: u64,
    /// Cut a caption after so many tokens; the checkpoint's own limit when absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tokens: Option<u32>,
    /// Do not end before so many tokens; the checkpoint's own limit when absent.
    #[arg(long, value_name = "N")]
    pub(crate) min_tokens: Option<u32>,
    /// Divide the scores of tokens that are in the text already; 1 changes nothing.
    #[arg(long, value_name = "X", value_parser = positive)]
    pub(crate) repetition_penalty: Option<f32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TaskChoice {
    /// A sentence.
    Caption,
    /// More than that.
    DetailedCaption,
    /// A paragraph.
    MoreDetailedCaption,
    /// Objects with boxes.
    Od,
    /// The text in the picture.
    Ocr,
}

fn number(text: &str) -> Result<f32, String> {
    numbers(text).map(|[value]| value)
}

fn positive(text: &str) -> Result<f32, String> {
    let value = number(text)?;
    if value > 0.0 { Ok(value) } else { Err("it is above 0".into()) }
}

fn part(text: &str) -> Result<f32, String> {
    let value = positive(text)?;
    if value <= 1.0 { Ok(value) } else { Err("it is at most 1".into()) }
}
