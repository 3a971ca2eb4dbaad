//! The options of `percept transcribe`. Names and defaults are openai-whisper's where it has them.

use clap::{Args, ValueEnum};

use super::shared::{Files, Running};

/// Speech to text and subtitles.
///
/// One input prints its text on standard output as it is decoded; several write a file beside each,
/// or under --output. whisper's spellings of options work too (--word_timestamps True).
#[derive(Args)]
#[command(after_help = "Examples:\n  percept transcribe talk.mp3\n  \
                        percept transcribe talk.mp4 -f srt --max-line-width 42 --max-line-count 2 -o talk.srt\n  \
                        percept transcribe recordings/ -o texts/ -f txt,json --language de\n  \
                        percept transcribe - --model whisper-tiny.en < talk.wav")]
pub(crate) struct TranscribeArguments {
    #[command(flatten)]
    pub(crate) files: Files,
    /// A model of `percept models list`, ORG/REPO[@REV], or a folder.
    #[arg(short, long)]
    pub(crate) model: Option<String>,
    /// Formats, separated by commas.
    #[arg(short, long, value_enum, value_delimiter = ',', visible_alias = "output-format")]
    pub(crate) format: Vec<FormatChoice>,
    /// The language that is spoken, as a code or in English; detected when absent.
    #[arg(long)]
    pub(crate) language: Option<String>,
    /// The words as they are spoken, or in English.
    #[arg(long, value_enum, default_value_t = TaskChoice::Transcribe)]
    pub(crate) task: TaskChoice,
    /// Text that stands before the recording, for names and style.
    #[arg(long, visible_alias = "initial-prompt", value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// Beams of the search at temperature 0; 1 is greedy. [default: 5; with --raw: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) beam_size: Option<u16>,
    /// Candidates drawn at temperatures above 0.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) best_of: u16,
    /// Exponent of the length in the scores of the beam search.
    #[arg(long, default_value_t = 1.0, value_name = "X")]
    pub(crate) length_penalty: f32,
    /// The first temperature.
    #[arg(long, default_value_t = 0.0, value_name = "T", value_parser = temperature)]
    pub(crate) temperature: f32,
    /// How much warmer each further try is, up to 1; 0 for a single try.
    #[arg(long, default_value_t = 0.2, value_name = "T", value_parser = temperature)]
    pub(crate) temperature_increment_on_fallback: f32,
    /// A text that compresses better than this repeats itself and is tried again.
    #[arg(long, default_value_t = 2.4, value_name = "X")]
    pub(crate) compression_ratio_threshold: f32,
    /// A text less probable than this is tried again.
    #[arg(long, default_value_t = -1.0, value_name = "X", allow_hyphen_values = true)]
    pub(crate) logprob_threshold: f32,
    /// A window more probably silent than this, whose text is not trusted, is dropped.
    #[arg(long, default_value_t = 0.6, value_name = "P")]
    pub(crate) no_speech_threshold: f32,
    /// Whether the text so far is the prompt of the next window.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true",
          action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) condition_on_previous_text: bool,
    /// Give every word a time.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true",
          action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) word_timestamps: bool,
    /// Decode everything, not only where somebody speaks.
    #[arg(long)]
    pub(crate) no_vad: bool,
    /// Do without times: each window is one segment.
    #[arg(long, visible_alias = "without-timestamps")]
    pub(crate) no_timestamps: bool,
    /// Columns of a subtitle line.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_line_width: Option<u16>,
    /// Lines of a subtitle.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_line_count: Option<u16>,
    /// Words of a subtitle line, where no width is given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_words_per_line: Option<u16>,
    /// Seed of the sampling at temperatures above 0.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) running: Running,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatChoice {
    /// A line a segment.
    Txt,
    /// SubRip subtitles.
    Srt,
    /// WebVTT subtitles.
    Vtt,
    /// Everything: times, probabilities, what was dropped, and what made it.
    Json,
    /// Times in milliseconds and text, behind tabs.
    Tsv,
    /// Lyrics with times.
    Lrc,
    /// All of these.
    All,
}

impl FormatChoice {
    pub(crate) const EACH: [Self; 6] = [Self::Txt, Self::Srt, Self::Vtt, Self::Json, Self::Tsv, Self::Lrc];

    /// The format that is called so; file extensions are names of formats.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::EACH.into_iter().find(|format| format.name() == name)
    }

    /// Its name, which is its extension too.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::Json => "json",
            Self::Tsv => "tsv",
            Self::Lrc => "lrc",
            Self::All => "all",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TaskChoice {
    Transcribe,
    Translate,
}

fn temperature(text: &str) -> Result<f32, String> {
    let value = text.parse::<f32>().map_err(|error| error.to_string())?;
    if (0.0..=2.0).contains(&value) { Ok(value) } else { Err("a temperature lies between 0 and 2".into()) }
}
