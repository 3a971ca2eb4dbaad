//! What is known about a picture besides its pixels.

use std::fmt;

use percept_core::segment::Orientation;
use serde::{Serialize, Serializer};

/// What a picture was before it became upright 8-bit sRGB.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PictureInfo {
    /// Columns as displayed.
    pub width: u32,
    /// Rows as displayed.
    pub height: u32,
    /// Columns as stored, before `orientation`.
    pub stored_width: u32,
    /// Rows as stored, before `orientation`.
    pub stored_height: u32,
    /// How the stored picture was turned to stand upright.
    pub orientation: Orientation,
    /// `jpeg`, `png`, `webp`, `tiff`, `bmp`, `gif`, `pnm` or `hdr`.
    pub format: &'static str,
    /// What a pixel was in the file: `rgb8`, `grey16`, `cmyk8`, `palette4`, `rgba8`, `rgb32f`, ...
    pub color: String,
    /// How that became 8-bit sRGB.
    pub mapping: Mapping,
    /// The focal length as that of a camera with 36 mm x 24 mm film, in mm, where EXIF states it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focal_length_35mm: Option<u16>,
    /// How many pictures the file holds, where the format can hold several; the first one was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<u32>,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// What was not as it should be, although there is a picture.
    pub warnings: Vec<PictureWarning>,
}

/// How stored values became 8-bit sRGB; serialised as the words of `Display`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Mapping {
    /// They were: 8 bits a channel, or palettes of such, or fewer bits spread over 0 to 255.
    AsStored,
    /// 16 bits: divided by 257 and rounded.
    Sixteen,
    /// 32 bits: divided by 2^24 + 2^16 + 2^8 + 1 and rounded.
    ThirtyTwo,
    /// Floats, taken for linear light: divided by `white` (1, or the 99th percentile of the brightest
    /// channel where that is larger), clamped to 0..1, through the sRGB curve, to 0..255. Not a number is 0.
    Linear {
        /// What became 1.
        white: f32,
    },
    /// Inks of 8 bits: a colour is (1 - ink) * (1 - black), without a colour profile, as Pillow has it.
    Inks,
    /// Inks of 16 bits, divided by 257, then as [`Mapping::Inks`].
    SixteenInks,
    /// Luma and chroma of 8 bits, by the full-range matrix of JPEG (BT.601).
    LumaChroma,
}

impl fmt::Display for Mapping {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsStored => formatter.write_str("as stored"),
            Self::Sixteen => formatter.write_str("16-bit / 257"),
            Self::ThirtyTwo => formatter.write_str("32-bit / 16843009"),
            Self::Linear { white } if *white == 1.0 => {
                formatter.write_str("linear float, clamped to 0..1, sRGB curve")
            }
            Self::Linear { white } => {
                write!(formatter, "linear float / {white}, clamped to 0..1, sRGB curve")
            }
            Self::Inks => formatter.write_str("(1 - ink) * (1 - black)"),
            Self::SixteenInks => formatter.write_str("16-bit / 257, (1 - ink) * (1 - black)"),
            Self::LumaChroma => formatter.write_str("BT.601 full range"),
        }
    }
}

impl Serialize for Mapping {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Something that was not as it should be, although there is a picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PictureWarning {
    /// The file ends early: what is missing is grey or the nearest that was decoded.
    Truncated,
    /// A part of the data makes no sense; what follows it may be wrong.
    Damaged {
        /// What the decoder said.
        reason: String,
    },
    /// An animation or a file of several pages, of which the first was read.
    FirstFrame {
        /// How many there are.
        frames: u32,
    },
}

impl fmt::Display for PictureWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => formatter.write_str("truncated: the end of the picture is missing"),
            Self::Damaged { reason } => write!(formatter, "damaged, parts may be wrong: {reason}"),
            Self::FirstFrame { frames } => write!(formatter, "only the first of {frames} pictures was read"),
        }
    }
}
