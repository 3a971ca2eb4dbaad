//! What clips may be written as.

use percept_flow::{self as flow, FormatKind, Naming};

/// A form of the results of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line of JSON a frame, behind one that says what made them.
    Jsonl,
    /// The clip with what was found drawn on it.
    Mp4,
}

impl Format {
    /// All.
    pub const ALL: [Self; 2] = [Self::Jsonl, Self::Mp4];

    /// How it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Mp4 => "mp4",
        }
    }

    /// What a file of this extension, in lower case, is where nothing else is said.
    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "mp4" | "m4v" => Some(Self::Mp4),
            _ => None,
        }
    }

    /// How its files are called, and what they are.
    pub fn file(self, task: &'static str) -> flow::Format {
        let kind = match self {
            Self::Jsonl => FormatKind::Text,
            Self::Mp4 => FormatKind::Binary,
        };
        flow::Format { extension: self.name().to_owned(), kind, naming: Naming::StemTask(task) }
    }
}
