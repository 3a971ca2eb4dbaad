//! What captions may be written as.

use percept_flow::{self as flow, FormatKind, Naming};

use crate::output::ResultFormat;

/// A form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Everything, with what made it.
    Json,
    /// The best caption on one line; of ranked texts a line each, best first.
    Txt,
    /// The best caption as the description in an XMP sidecar.
    Xmp,
}

impl ResultFormat for Format {
    const ALL: &'static [Self] = &[Self::Json, Self::Txt, Self::Xmp];
    const JSON: Self = Self::Json;

    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Txt => "txt",
            Self::Xmp => "xmp",
        }
    }

    fn of_extension(extension: &str) -> Option<Self> {
        Self::named(extension)
    }

    // Sidecars, which trainers and catalogues look for, stand under the picture's own name.
    fn file(self) -> flow::Format {
        let naming = if self == Self::Json { Naming::StemTask("caption") } else { Naming::Stem };
        flow::Format { extension: self.name().to_owned(), kind: FormatKind::Text, naming }
    }
}
