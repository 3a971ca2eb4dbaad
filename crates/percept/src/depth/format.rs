//! What depth may be written as.

use percept_flow::{self as flow, FormatKind, Naming};

use crate::output::ResultFormat;

/// A form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// What the numbers are, their statistics and the camera, with what made it.
    Json,
    /// 16-bit grey: millimetres, or the whole range with scale and offset.
    Png,
    /// An array of numpy, 32-bit floats.
    Npy,
    /// 32-bit floats.
    Tiff,
    /// A picture in colours with a legend.
    Color,
    /// The points in space, in the picture's colours.
    Ply,
}

impl ResultFormat for Format {
    const ALL: &'static [Self] = &[Self::Json, Self::Png, Self::Npy, Self::Tiff, Self::Color, Self::Ply];
    const JSON: Self = Self::Json;

    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Png => "png",
            Self::Npy => "npy",
            Self::Tiff => "tiff",
            Self::Color => "color",
            Self::Ply => "ply",
        }
    }

    fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "json" => Some(Self::Json),
            "png" => Some(Self::Png),
            "npy" => Some(Self::Npy),
            "tif" | "tiff" => Some(Self::Tiff),
            "ply" => Some(Self::Ply),
            _ => None,
        }
    }

    fn file(self) -> flow::Format {
        let (extension, kind) = match self {
            Self::Json => ("json", FormatKind::Text),
            Self::Png => ("png", FormatKind::Binary),
            Self::Npy => ("npy", FormatKind::Binary),
            Self::Tiff => ("tiff", FormatKind::Binary),
            Self::Color => ("color.png", FormatKind::Binary),
            Self::Ply => ("ply", FormatKind::Binary),
        };
        flow::Format { extension: extension.to_owned(), kind, naming: Naming::StemTask("depth") }
    }
}
